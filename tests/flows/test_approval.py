"""A change of a protected environment waits for a second person inside its run; a hold refuses it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.access import Role, hash_token
from domain.status import Operation, RunStatus
from tests.flow_world import FlowProcess, World
from tests.polling import wait_for

PROTECTED = {"teardown": "refused", "deletion_limit": 10, "final_snapshot": False, "keep_media": False}
SMALL = {"queue": {}}


def call(world: World, method: str, path: str, token: str, **body: Any) -> httpx.Response:
    """Ask the stack's own API."""
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{world.stack.settings.api_url}{path}"
    return httpx.request(method, url, headers=headers, json=body, timeout=30, trust_env=False)


@pytest.fixture
def bob(world: World, name: str) -> str:
    """The token of an operator who asked for nothing."""
    token = f"the-token-of-an-operator-for-{name}"
    world.ledger.add_token(f"bob-{name}", hash_token(token), Role.OPERATOR, None, "tests")
    return token


def read_waiting(world: World, name: str) -> dict[str, Any]:
    """The run of an environment when it waits, as the API shows it."""

    def read() -> dict[str, Any] | None:
        path = f"/api/runs?environment={name}&limit=1"
        newest = call(world, "GET", path, world.stack.token).json()["runs"]
        run = call(world, "GET", f"/api/runs/{newest[0]['run_id']}", world.stack.token).json() if newest else None
        return run if run and run["status"] == "waiting" and run["plan_id"] else None

    found: dict[str, Any] = wait_for(f"a run of {name} waits", read)
    return found


def read_end(world: World, run_id: str) -> Any:
    """The run when the ledger has its outcome."""

    def read() -> Any:
        run = world.ledger.read_run(run_id)
        return run if run and run.finished_at else None

    return wait_for(f"run {run_id} has ended", read)


@contextmanager
def running_process(world: World, folder: Path, **variables: str) -> Iterator[FlowProcess]:
    """Another process for flows, so that one can wait while a test goes on."""
    process = FlowProcess(world.stack.environment | variables, folder / "log")
    try:
        yield process
    finally:
        process.kill()


def test_a_run_from_the_prefect_ui_waits_for_another_person(world: World, name: str, bob: str, tmp_path: Path) -> None:
    """Created without anybody; its change waits, tells which plan and how, and goes on when that is approved."""
    world.make(name, data=SMALL, protection=PROTECTED)
    version = world.add_spec(name, protection=PROTECTED)
    before = world.observe(name)
    with running_process(world, tmp_path) as process:
        process.tell("run", "provision", {"environment": name, "spec_version": version}, None)
        run = read_waiting(world, name)
        assert (run["actor"], run["operation"]) == ("prefect-ui", "provision")
        assert f"terrarium approve {run['plan_id']}" in run["resolution"]
        assert [change["address"] for change in run["planned"]] == ["terraform_data.media[0]"]
        assert world.observe(name)["resources"] == before["resources"]
        approved = call(world, "POST", f"/api/plans/{run['plan_id']}/approve", bob, reason="media are wanted")
        assert approved.status_code == 200, approved.text
        ended = read_end(world, run["run_id"])
    assert (ended.status, ended.environment_status) == ("succeeded", "ready")
    assert [step.name for step in world.steps(run["run_id"])][:2] == ["save_plan", "await_approval"]
    assert (ended.report["approved_by"], ended.report["approval"]) == (f"bob-{name}", "media are wanted")
    assert "media" in world.parts(name)


def test_a_run_that_waits_can_be_cancelled(world: World, name: str) -> None:
    """By the worker's run, as from the Prefect UI: nothing has changed, and the environment is as ready as before."""
    world.make(name, data=SMALL, protection=PROTECTED)
    before = world.observe(name)
    started = world.start("provision", name, world.add_spec(name, protection=PROTECTED))
    read_waiting(world, name)
    world.prefect.cancel_run(started.run_id)
    assert read_end(world, started.run_id).status == "cancelled"
    assert (world.observe(name)["resources"], world.status(name)) == (before["resources"], "ready")
    wait_for(
        "Prefect shows it cancelled",
        lambda: (found := world.prefect.read_run(started.run_id)) and found.status is RunStatus.CANCELLED,
    )


def test_nobody_approves_in_time(world: World, name: str, bob: str, tmp_path: Path) -> None:
    """Refused after the bound. The plan stays: approved later, it can still be applied by its id, and only then."""
    world.make(name, data=SMALL, protection=PROTECTED)
    version = world.add_spec(name, protection=PROTECTED)
    parameters = {"environment": name, "spec_version": version}
    with running_process(world, tmp_path, TERRARIUM_APPROVAL_WAIT_MINUTES="0.01") as process:
        ended = read_end(world, process.ask("run", "provision", parameters, None)["run_id"])
    assert (ended.status, ended.environment_status) == ("refused", None)
    assert "nobody approved plan" in ended.error
    plan_id = world.steps(ended.run_id)[0].arguments["plan_id"]
    refused = world.apply_plan(name, version, plan_id)
    assert (refused.status, "has no approval that counts" in refused.error) == ("refused", True)
    assert call(world, "POST", f"/api/plans/{plan_id}/approve", bob, reason="late").status_code == 200
    by_bob = world.apply_plan(name, version, plan_id, actor=f"bob-{name}")
    assert (by_bob.status, "asked for the change" in by_bob.error) == ("refused", True)
    assert world.apply_plan(name, version, plan_id).status == "succeeded"
    assert "media" in world.parts(name)


def test_an_approved_plan_is_void_when_the_spec_has_changed(world: World, name: str, bob: str) -> None:
    """Who changes the spec after the approval applies nothing: neither the old plan nor, unseen, the new one."""
    world.make(name, data=SMALL, protection=PROTECTED)
    version = world.add_spec(name, protection=PROTECTED)
    plan_id = world.plan(name, version)
    assert call(world, "POST", f"/api/plans/{plan_id}/approve", bob, reason="seen").status_code == 200
    world.add_spec(name, protection=PROTECTED, cost_centre="TB-9")
    before = world.observe(name)
    refused = world.apply_plan(name, version, plan_id)
    assert (refused.status, "its spec has changed since plan" in refused.error) == ("refused", True)
    assert (world.observe(name), world.status(name)) == (before, "ready")


def test_who_planned_does_not_approve(world: World, name: str) -> None:
    """The first token of `make up` plans through the API; it is refused there as the approver."""
    world.make(name, data=SMALL, protection=PROTECTED)
    world.add_spec(name, protection=PROTECTED)
    token = world.stack.token
    planned = call(world, "POST", f"/api/environments/{name}/plan", token).json()
    plan_id = read_end(world, planned["run_id"]).report["plan_id"]
    refused = call(world, "POST", f"/api/plans/{plan_id}/approve", token, reason="mine")
    assert (refused.status_code, "who cannot approve it" in refused.text) == (409, True)
    assert call(world, "POST", f"/api/environments/{name}/apply", token, plan_id=plan_id).status_code == 409


def test_a_hold_refuses_every_new_change_whoever_starts_it(world: World, name: str) -> None:
    """Provision and teardown are refused and on record; a plan is made; after the release all goes on."""
    version = world.make(name, data=SMALL)
    before = world.observe(name)
    world.ledger.add_hold(name, "ada", "incident 12", datetime.now(UTC) + timedelta(hours=1))
    for word in ("provision", "teardown"):
        run = world.run(word, name, version if word == "provision" else None)
        assert (run.status, run.environment_status) == ("refused", None)
        assert f"{name} is held by ada until" in run.error
    assert world.plan(name, version)
    assert world.status(name) == "ready"
    world.ledger.release_hold(name, "bob")
    assert world.run("teardown", name).status == "succeeded"
    assert before["resources"] != world.observe(name)["resources"]


def test_a_key_of_another_run_gives_no_name(world: World, name: str) -> None:
    """Who reads a request's id in Prefect cannot start something else in that person's name, nor the same once more."""
    version = world.make(name, data=SMALL)
    other = world.add_spec(name, data=SMALL, owner="b@travelblog.example")
    wrong_operation = world.ask(Operation.PLAN, name, version, None, "alice")
    run = world.run("provision", name, version, wrong_operation)
    assert (run.status, run.actor, run.request_id) == ("succeeded", "prefect-ui", None)
    wrong_version = world.ask(Operation.PLAN, name, version, None, "alice")
    assert world.run("plan", name, other, wrong_version).actor == "prefect-ui"
    used = world.ask(Operation.PLAN, name, version, None, "alice")
    world.ledger.begin_run(f"first-{name}", name, Operation.PLAN, "plan", version, used, "alice", "host", 1)
    world.ledger.finish_run(f"first-{name}", RunStatus.SUCCEEDED)
    assert world.run("plan", name, version, used).actor == "prefect-ui"
    right = world.run("plan", name, version, world.ask(Operation.PLAN, name, version, None, "alice"))
    assert (right.actor, world.retry("plan", right.run_id).actor) == ("alice", "alice")
