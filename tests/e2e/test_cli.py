"""The `terrarium` command as its users type it, against the whole stack; environments are rehearsals of four parts."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.user import User
from tests.polling import wait_for

RUN_SECONDS = 60
#: A part that takes longer than a test needs to look at the run, and is interrupted by a cancel.
SLOW = "rehearsal: {slow_seconds: {queue: 45}}"

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("lifetime")]  # which lives meanwhile


@pytest.fixture(scope="module")
def shop(user: User) -> str:
    """An environment that is ready; its file."""
    file = user.write("shop")
    assert user.terrarium("env", "apply", file, "--yes").code == 0
    return file


@pytest.fixture
def slow_run(user: User) -> Iterator[str]:
    """A run whose apply has begun and takes its time; it is stopped afterwards where it goes on."""
    ended = user.terrarium("env", "apply", user.write("long", SLOW), "--yes", "--timeout", "1", "--json")
    run_id = ended.answer["run_id"]
    try:
        assert ended.code == 124
        assert f"The run goes on. Follow it: terrarium runs logs -f {run_id}" in ended.err
        wait_for("its apply has begun", lambda: (user.read_run(run_id)["progress"] or {}).get("done"), RUN_SECONDS)
        yield run_id
    finally:
        user.terrarium("runs", "cancel", run_id)


def test_apply_asks_on_a_terminal(user: User) -> None:
    """The plan, the question, and after a yes its run; after a no nothing is made."""
    file = user.write("asked")
    refused = user.terrarium_at_terminal("Apply this to asked?", "n", "env", "apply", file)
    assert (refused.code, "4 to add, 0 to change, 0 to destroy." in refused.err) == (1, True), refused.err
    assert user.terrarium("runs", "list", "--environment", "asked").out.count("provision") == 0
    ended = user.terrarium_at_terminal("Apply this to asked?", "y", "env", "apply", file)
    assert ended.code == 0, ended.err
    assert "terraform_data.queue" in ended.err
    assert user.read_environment("asked")["status"] == "ready"
    newest, plan = user.terrarium("runs", "list", "--environment", "asked", "--json").answer["runs"][:2]
    assert (newest["operation"], newest["changes"]["add"], plan["operation"]) == ("provision", 4, "plan")


def test_plan_changes_nothing(user: User) -> None:
    """What would change is told, and no such environment is there afterwards."""
    ended = user.terrarium("env", "plan", user.write("planned"))
    assert ended.code == 0, ended.err
    assert "4 to add, 0 to change, 0 to destroy." in ended.err
    assert not any(row["name"] == "planned" for row in user.list_environments() if row["resources"])


def test_a_second_apply_changes_nothing(user: User, shop: str) -> None:
    """One JSON object on stdout, with no changes, and code 0."""
    ended = user.terrarium("env", "apply", shop, "--yes", "--json")
    assert (ended.code, ended.answer["status"]) == (0, "succeeded"), ended.err
    assert ended.answer["changes"] == {"add": 0, "change": 0, "destroy": 0}


def test_a_broken_spec_starts_no_run(user: User) -> None:
    """Code 2, the line and the nearest right word; nothing of it is known afterwards."""
    ended = user.terrarium("env", "apply", user.write("broken", "regoin: eu-west-1"), "--yes", "--json")
    assert (ended.code, ended.answer["error"]["kind"]) == (2, "broken_spec")
    fault = ended.answer["error"]["faults"][0]
    assert (fault["file"], fault["line"], fault["suggestion"]) == ("broken.yaml", 8, "region")
    assert user.terrarium("runs", "list", "--environment", "broken", "--json").answer["runs"] == []


def test_a_protected_environment_is_not_destroyed(user: User) -> None:
    """Code 2, status refused, and the way, which then works: somebody else approves that the protection goes."""
    protected = user.write("vault", "protection: {teardown: refused}", "ttl: null")
    assert user.terrarium("env", "apply", protected, "--yes").code == 0
    refused = user.terrarium("env", "destroy", "vault", "--yes", "--json")
    assert (refused.code, refused.answer["status"]) == (2, "refused"), refused.err
    assert "Set protection.teardown: allowed in its file" in refused.answer["resolution"]
    assert user.read_environment("vault")["status"] == "ready"
    planned = user.terrarium("env", "plan", user.write("vault", "ttl: null"), "--json").answer["plan_id"]
    lifted = ("env", "apply", "vault", "--plan", planned, "--json")
    assert user.terrarium(*lifted).code == 2
    assert user.terrarium("approve", planned, "--reason", "mine").code == 2
    other = user.terrarium("token", "create", "other", "--role", "operator", "--json").answer["value"]
    (user.folder / "other.token").write_text(other)
    approved = user.terrarium(
        "approve", planned, "--reason", "over", TERRARIUM_TOKEN_FILE=str(user.folder / "other.token")
    )
    assert approved.code == 0, approved.err
    assert user.terrarium(*lifted).code == 0
    destroyed = user.terrarium("env", "destroy", "vault", "--yes", "--json")
    assert (destroyed.code, destroyed.answer["changes"]["destroy"]) == (0, 4), destroyed.err
    assert user.read_environment("vault")["status"] == "destroyed"


@pytest.mark.parametrize(
    "arguments",
    [("env", "aply"), ("env", "list", "--jsno"), ("env", "apply", "missing.yaml", "--yes"), ("runs", "show")],
)
def test_a_wrong_command_is_a_usage_error(user: User, arguments: tuple[str, ...]) -> None:
    """Code 64, with words on stderr and nothing on stdout."""
    ended = user.terrarium(*arguments)
    assert (ended.code, ended.out) == (64, "")
    assert ended.err


def test_a_run_outlives_its_command(user: User, slow_run: str) -> None:
    """After the timeout the run is followed, cancelled, and done again to its end; its lock is not in the way."""
    following = user.start("runs", "logs", "-f", slow_run)
    asked = user.terrarium("runs", "cancel", slow_run, "--json")
    assert asked.code == 0, asked.err
    wait_for("it is cancelled", lambda: user.read_run(slow_run)["status"] == "cancelled", RUN_SECONDS)
    told, _ = following.communicate(timeout=RUN_SECONDS)
    assert following.returncode == 0
    assert "Beginning flow run 'provision long'" in told
    assert user.read_environment("long")["status"] == "failed"
    user.write("long")  # the next one is quick: a retry takes the same spec version, an apply the file
    assert user.terrarium("env", "apply", "long.yaml", "--yes", "--json").answer["status"] == "succeeded"
    assert user.read_environment("long")["resources"] == 4


def test_retry_is_a_new_run_of_the_same_version(user: User) -> None:
    """A run that failed at one part is listed as failed, with what exists; its retry fails at the same part again."""
    ended = user.terrarium("env", "apply", user.write("faulty", "rehearsal: {fail: [queue]}"), "--yes", "--json")
    assert (ended.code, ended.answer["status"]) == (1, "failed")
    assert "rehearsed failure of queue" in ended.answer["error"]
    assert user.read_environment("faulty")["status"] == "failed"
    again = user.terrarium("runs", "retry", ended.answer["run_id"], "--json")
    assert (again.code, again.answer["spec_version"]) == (1, ended.answer["spec_version"])
    assert again.answer["run_id"] != ended.answer["run_id"]
    assert user.terrarium("env", "destroy", "faulty", "--yes").code == 0


def test_no_wait_returns_at_once(user: User, shop: str) -> None:
    """The run is queued when the command ends; `runs show` tells its end."""
    ended = user.terrarium("env", "apply", shop, "--yes", "--no-wait", "--json")
    assert (ended.code, ended.answer["status"]) == (0, "queued")
    run_id = ended.answer["run_id"]
    wait_for("the run succeeds", lambda: user.read_run(run_id)["status"] == "succeeded", RUN_SECONDS)
    assert "succeeded" in user.terrarium("runs", "show", run_id).out


def test_ctrl_c_leaves_the_run_alone(user: User, shop: str) -> None:
    """The command ends and says how to follow; the run goes on to its end."""
    waiting = user.start("env", "apply", shop, "--yes")
    assert waiting.stderr is not None
    assert "provision shop" in waiting.stderr.readline()
    os.kill(waiting.pid, signal.SIGINT)
    _, told = waiting.communicate(timeout=RUN_SECONDS)
    assert waiting.returncode == 130
    run_id = told.partition("terrarium runs logs -f ")[2].split()[0]
    wait_for("the run succeeds", lambda: user.read_run(run_id)["status"] == "succeeded", RUN_SECONDS)


def test_diff_explains_key_by_key(user: User) -> None:
    """Code 0, and the keys in which production is more than staging."""
    ended = user.terrarium("env", "diff", "staging", "production", "--json")
    assert ended.code == 0
    keys = {row["key"] for row in ended.answer["differences"]}
    for part in ("data.database.has_replica", "protection.teardown", "maintenance_windows", "alarms"):
        assert any(key.startswith(part) for key in keys), (part, sorted(keys))


def test_status_and_doctor_are_content(user: User) -> None:
    """Every part is healthy with its address, and nothing is in the way."""
    status = user.terrarium("status", "--json")
    assert (status.code, status.answer["is_up"]) == (0, True)
    settings = user.stack.settings
    assert (status.answer["prefect_url"], status.answer["api_url"]) == (settings.prefect_url, settings.api_url)
    doctor = user.terrarium("doctor", "--json")
    found = [check for check in doctor.answer["findings"] if not check["ok"]]
    assert (doctor.code, found) == (0, [])
