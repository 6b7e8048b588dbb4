"""The command, the API and the ledger together, as a person uses them. A thread does what a worker would."""

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blocks.ledger import Ledger
from console.api import create_app
from console.sources import Sources
from domain.changes import Change, Changes
from domain.status import EnvironmentStatus, Operation, RunStatus
from tests.api_face import record_token
from tests.api_server import TOKEN, serve
from tests.fakes import FakePrefect

ROOT = Path(__file__).parents[2]
CHANGES = Changes(items=(Change(address="aws_sqs_queue.main", resource_type="aws_sqs_queue", action="add"),))
TRY = "name: try\nclass: sandbox\nowner: a@travelblog.example\ncost_centre: TB-100\ndata:\n  queue: {}\n"


class Worker(threading.Thread):
    """Takes queued runs and writes what a flow would write of them."""

    def __init__(self, ledger: Ledger, prefect: FakePrefect) -> None:
        super().__init__()
        self.ledger, self.prefect, self.has_to_stop = ledger, prefect, threading.Event()

    def run(self) -> None:
        """Work until told to stop."""
        while not self.has_to_stop.wait(0.05):
            for flow_run in list(self.prefect.runs.values()):
                if flow_run.status is RunStatus.QUEUED:
                    self._perform(flow_run.run_id, flow_run.idempotency_key or "")

    def _perform(self, run_id: str, request_id: str) -> None:
        request = self.ledger.read_request(request_id)
        assert request is not None
        name, version = request.environment, request.spec_version
        self.prefect.enter(run_id, RunStatus.RUNNING)
        self.ledger.begin_run(run_id, name, request.operation, "flow", version, request.id, request.actor, "host", 1)
        if request.operation is Operation.PLAN:
            assert version is not None
            kept = (CHANGES.digest(), CHANGES.model_dump_json(), "plans/1", datetime.now(UTC) + timedelta(hours=1))
            self.ledger.add_plan(f"plan-of-{run_id}", name, version, run_id, *kept)
            report = {"plan_id": f"plan-of-{run_id}"}
            self.ledger.finish_run(run_id, RunStatus.SUCCEEDED, None, CHANGES.counts, report)
        else:
            self.ledger.open_generation(name, run_id, "nonproduction", "emulator")
            report = {"resources": 1, "plan_id": request.plan_id}
            self.ledger.finish_run(run_id, RunStatus.SUCCEEDED, EnvironmentStatus.READY, CHANGES.counts, report)
        self.prefect.enter(run_id, RunStatus.SUCCEEDED)


@pytest.fixture
def environment(ledger: Ledger, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables under which the command finds a running API."""
    prefect = FakePrefect()
    record_token(ledger)
    app = create_app(Sources(ledger, prefect, prefect, "http://prefect.example", ROOT / "environments"))
    worker = Worker(ledger, prefect)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "try.yaml").write_text(TRY)
    with serve(app) as url:
        (tmp_path / "stack.json").write_text(json.dumps({"api_url": url}))
        worker.start()
        try:
            yield {**os.environ, "TERRARIUM_STATE_DIR": str(tmp_path), "TRY": str(tmp_path / "try.yaml")}
        finally:
            worker.has_to_stop.set()
            worker.join()


def terrarium(environment: dict[str, str], *arguments: str, stdin: int = subprocess.DEVNULL) -> tuple[int, str, str]:
    """Run the command: its code, stdout and stderr."""
    command = [sys.executable, "-c", "from console.cli import main; main()", *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=environment, stdin=stdin, capture_output=True, text=True, timeout=60)
    return ended.returncode, ended.stdout, ended.stderr


def test_apply_with_yes_is_one_run(environment: dict[str, str]) -> None:
    """One object on stdout; the environment is then in the list."""
    code, out, err = terrarium(environment, "env", "apply", environment["TRY"], "--yes", "--json")
    assert code == 0, err
    run = json.loads(out)
    assert (run["environment"], run["status"], run["changes"]["add"]) == ("try", "succeeded", 1)
    _, out, _ = terrarium(environment, "env", "list", "--json")
    assert json.loads(out)["environments"][0]["status"] == "ready"


@pytest.mark.parametrize(("answer", "code", "operation"), [("y\n", 0, "provision"), ("n\n", 1, "plan")])
def test_apply_asks_about_the_plan(environment: dict[str, str], answer: str, code: int, operation: str) -> None:
    """The plan is shown, the question is asked, and a yes applies exactly that plan; a no applies nothing."""
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    found, out, err = terrarium(environment, "env", "apply", environment["TRY"], "--json", stdin=theirs)
    os.close(ours)
    os.close(theirs)
    assert found == code, err
    assert "aws_sqs_queue.main" in err
    assert "Apply this to try?" in err
    run = json.loads(out)
    assert run["operation"] == operation
    assert run["plan_id"].startswith("plan-of-")
    _, out, _ = terrarium(environment, "runs", "list", "--json")
    assert len(json.loads(out)["runs"]) == (2 if code == 0 else 1)


def test_production_is_not_destroyed(environment: dict[str, str]) -> None:
    """Code 2, status refused, and the way; the environment stays as it is."""
    assert terrarium(environment, "env", "apply", "production", "--yes")[0] == 0
    code, out, _ = terrarium(environment, "env", "destroy", "production", "--yes", "--json")
    assert (code, json.loads(out)["status"]) == (2, "refused")
    assert "protection.teardown: allowed" in json.loads(out)["resolution"]
    _, out, _ = terrarium(environment, "env", "show", "production", "--json")
    assert json.loads(out)["environment"]["status"] == "ready"
