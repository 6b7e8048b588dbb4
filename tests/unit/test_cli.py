"""The `terrarium` command against an API that answers what the test wrote down: codes, streams, waiting, questions."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from blocks.settings import read_settings
from console.cli import run

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
TOKEN = "a-token-of-the-tests-that-is-long-enough"


def golden(name: str, **changes: Any) -> dict[str, Any]:
    """An answer of the contract, with some fields changed."""
    found: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return found | changes


class ScriptedApi:
    """An API that answers a call with the next of the answers written for it, the last one again and again."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        self.calls: list[tuple[str, str, Any]] = []
        api = self

        class Answering(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                call = (self.command, self.path.partition("?")[0])
                api.calls.append((*call, json.loads(body) if body else None))
                answers = api.answers[call]
                code, found = answers.pop(0) if len(answers) > 1 else answers[0]
                if self.headers["Authorization"] != f"Bearer {TOKEN}":
                    code, found = 401, golden("error")
                self.send_response(code)
                self.end_headers()
                self.wfile.write(json.dumps(found).encode())

            do_GET = do_POST = do_DELETE = answer  # noqa: N815 (the names are the library's)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def on(self, method: str, path: str, *answers: dict[str, Any], code: int = 200) -> None:
        """Write down the answers of an address."""
        self.answers[method, path] = [(code, answer) for answer in answers]


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedApi]:
    """An API whose address and token stand in the state folder, as `make up` leaves them."""
    api = ScriptedApi()
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "stack.json").write_text(json.dumps({"api_url": api.url}))
    monkeypatch.setenv("TERRARIUM_STATE_DIR", str(tmp_path))
    read_settings.cache_clear()
    thread = threading.Thread(target=api.server.serve_forever, args=(0.02,))
    thread.start()
    yield api
    api.server.shutdown()
    thread.join()
    api.server.server_close()
    read_settings.cache_clear()


RUN = f"/api/runs/{golden('run')['run_id']}"
QUEUED = golden("run", status="queued", operation="provision", changes=None, planned=[], plan_id=None, finished_at=None)


@pytest.mark.parametrize(
    ("status", "code"), [("succeeded", 0), ("failed", 1), ("crashed", 1), ("cancelled", 1), ("refused", 2)]
)
def test_a_run_ends_with_its_code(api: ScriptedApi, capsys: pytest.CaptureFixture[str], status: str, code: int) -> None:
    """`apply --yes --json` waits, prints the run as one object and nothing else on stdout, and tells by its code."""
    ended = golden("run", status=status)
    api.on("POST", "/api/environments", QUEUED, code=202)
    api.on("GET", RUN, golden("run_with_progress"), ended)
    assert run(["env", "apply", str(ROOT / "environments" / "dev.yaml"), "--yes", "--json"]) == code
    streams = capsys.readouterr()
    assert json.loads(streams.out) == ended
    assert "12 of 50 resources, about 1 min 20 s left (1 min 0 s to 2 min 0 s)" in streams.err
    assert "slowest aws_db_instance.main 34 s" in streams.err


def test_a_bare_name_is_a_file_of_the_checkout(api: ScriptedApi) -> None:
    """`env plan dev` reads environments/dev.yaml; an unknown name is a spec that the ledger may know."""
    api.on("POST", "/api/environments", golden("run"), code=202)
    assert run(["env", "plan", "dev"]) == 0
    assert api.calls[-1][2]["file_name"] == "environments/dev.yaml"
    assert api.calls[-1][2]["plan_only"]
    api.on("POST", "/api/environments/made-by-api/plan", golden("run"), code=202)
    assert run(["env", "plan", "made-by-api"]) == 0


def test_a_plan_is_shown_beside_the_answer(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """What would change goes to stderr, the run to stdout; changes are no failure."""
    api.on("POST", "/api/environments", golden("run"), code=202)
    assert run(["env", "plan", "dev"]) == 0
    streams = capsys.readouterr()
    assert "replace  aws_sqs_queue.main  cannot update; name: old → new (forces replacement)" in streams.err
    assert "1 to add, 0 to change, 1 to destroy." in streams.err
    assert "aws_sqs_queue.main" not in streams.out


def test_a_broken_spec_is_told_line_by_line(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """Code 2, each fault with its place and the nearest word; with --json the API's own object."""
    api.on("POST", "/api/environments", golden("error"), code=422)
    assert run(["env", "plan", "dev"]) == 2
    assert 'staging.yaml:4: regoin: found "regoin", allowed a key. Did you mean region?' in capsys.readouterr().err
    assert run(["env", "plan", "dev", "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == golden("error")


def test_what_is_refused_is_a_run_with_code_2(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """Destroying what is protected asks nothing, prints the refused run and tells the way."""
    api.on("GET", "/api/environments/production", golden("environment", is_protected=True))
    api.on("DELETE", "/api/environments/production", golden("error_refused"), code=409)
    assert run(["env", "destroy", "production", "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == golden("run_refused")
    assert run(["env", "destroy", "production"]) == 2
    assert "protection.teardown: allowed" in capsys.readouterr().err


def test_destroy_lists_what_goes_and_what_stays(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the teardown starts, the person reads what it leaves; without a terminal nothing is asked or started."""
    api.on("GET", "/api/environments/staging", golden("environment"))
    api.on("DELETE", "/api/environments/staging", golden("run"), code=202)
    assert run(["env", "destroy", "staging"]) == 64
    assert [call[0] for call in api.calls] == ["GET"]
    assert run(["env", "destroy", "staging", "--yes"]) == 0
    shown = capsys.readouterr().err
    assert "61 resources of staging go" in shown
    assert "Stays: a final snapshot of the database" in shown


@pytest.mark.parametrize(("status", "code"), [("queued", 124), ("running", 124), ("waiting", 4)])
def test_a_timeout_leaves_the_run_alone(
    api: ScriptedApi, capsys: pytest.CaptureFixture[str], status: str, code: int
) -> None:
    """The command ends, the run goes on, and the command says how to follow and to stop it."""
    api.on("POST", "/api/environments", QUEUED, code=202)
    api.on("GET", RUN, golden("run", status=status))
    assert run(["env", "apply", "dev", "--yes", "--timeout", "0.2"]) == code
    assert status == "waiting" or "The run goes on" in capsys.readouterr().err
    assert not any("cancel" in call[1] for call in api.calls)


def test_no_wait_returns_at_once(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """One call, the queued run, code 0."""
    api.on("POST", "/api/environments", QUEUED, code=202)
    assert run(["env", "apply", "dev", "--yes", "--no-wait", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == QUEUED
    assert len(api.calls) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["env", "aply"],
        ["env", "apply"],
        ["env", "apply", "nowhere.yaml", "--yes"],
        ["env", "apply", "dev", "--no-wait"],
        ["env", "apply", "dev"],
        ["runs", "logs"],
        ["env", "plan", "dev", "--timeout", "soon"],
    ],
)
def test_wrong_usage_is_code_64(api: ScriptedApi, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """It starts nothing; with --json the error is one object."""
    assert run(arguments) == 64
    assert capsys.readouterr().out == ""
    assert run([*arguments, "--json"]) == 64
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "bad_request"
    assert api.calls == []


def test_one_object_cannot_follow(capsys: pytest.CaptureFixture[str]) -> None:
    """`logs -f --json` is wrong usage."""
    assert run(["runs", "logs", "-f", "--json", "x"]) == 64
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "bad_request"


def test_tables_have_the_fields_of_the_list(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """People and scripts read the same names."""
    api.on("GET", "/api/environments", golden("environments"))
    assert run(["env", "list"]) == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["name", "class", "status", "scope", "account", "region", "resources", "expires", "at"]
    assert row.split()[:3] == ["staging", "staging", "ready"]
    assert run(["env", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == golden("environments")


def test_looking_commands_print_their_answer(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """show, diff, runs list and runs show, for people and as one object."""
    expected = {
        ("env", "show", "staging"): ("/api/environments/staging", "environment"),
        ("env", "diff", "staging", "production"): ("/api/environments/staging/diff/production", "diff"),
        ("runs", "list", "--environment", "staging"): ("/api/runs", "runs"),
        ("runs", "show", golden("run")["run_id"]): (RUN, "run_with_progress"),
        ("runs", "logs", golden("run")["run_id"]): (f"{RUN}/logs", "log"),
    }
    for arguments, (path, name) in expected.items():
        api.on("GET", path, golden(name))
        assert run([*arguments]) == 0
        assert capsys.readouterr().out.count("\n") >= 1
        assert run([*arguments, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == golden(name)


def test_following_a_log_ends_with_the_run(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line once, the last ones too, however often they are read."""
    lines = golden("log")["lines"]
    more = [*lines, lines[0] | {"id": "2", "message": "done"}]
    api.on("GET", f"{RUN}/logs", {"lines": []}, {"lines": lines}, {"lines": more})
    api.on("GET", RUN, golden("run", status="running"), golden("run"))
    assert run(["runs", "logs", "-f", golden("run")["run_id"]]) == 0
    assert capsys.readouterr().out.splitlines() == ["12:00:00 info     12 of 50 resources", "12:00:00 info     done"]


def test_cancel_retry_and_extend(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """Each asks the API once and prints its answer; a run that was cancelled on demand is no failure."""
    api.on("POST", f"{RUN}/cancel", golden("run", status="cancelled"), code=202)
    assert run(["runs", "cancel", golden("run")["run_id"]]) == 0
    api.on("POST", f"{RUN}/retry", golden("run"), code=202)
    assert run(["runs", "retry", golden("run")["run_id"]]) == 0
    answer = golden("environments")["environments"][0] | {"expires_at": "2026-03-01T20:00:00Z"}
    api.on("POST", "/api/environments/staging/extend", answer)
    assert run(["env", "extend", "staging", "8h", "--reason", "demo"]) == 0
    assert "expires at 2026-03-01T20:00:00Z" in capsys.readouterr().out
    assert api.calls[-1][2] == {"duration": "8h", "reason": "demo"}


def test_unlock_needs_a_reason(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """It goes to the API with the name; without one nothing is asked of the API."""
    api.on("POST", "/api/environments/staging/unlock", golden("run", status="running"))
    assert run(["env", "unlock", "staging"]) == 64
    assert api.calls == []
    assert run(["env", "unlock", "staging", "--reason", "node gone"]) == 0
    assert "counts as dead" in capsys.readouterr().out
    assert api.calls[-1][2] == {"reason": "node gone"}
