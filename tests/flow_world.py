"""What the flows' tests stand on: the local stack, an account of their own, and a warm process that runs flows."""

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from blocks.aws import AwsAccount
from blocks.environment_files import read_declared
from blocks.ledger import EnvironmentRow, Ledger, RunRow, StepRow
from blocks.ledger.tables import notice
from blocks.prefect_api import PrefectApi, PrefectRun
from blocks.settings import CHECKOUT
from domain.changes import Changes
from domain.spec import EnvironmentSpec
from domain.status import Operation
from tests.flow_faults import Faults
from tests.flow_process import read_world
from tests.stack import LocalStack

#: Every part that `spec` declares: what an undisturbed run makes.
PARTS = ("dead_letters", "key", "logs", "media", "queue", "secrets")


class FlowProcess:
    """tests/flow_process.py, started when it is first needed, and again after it was killed."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment, self._log = environment, log
        self._process: subprocess.Popen[str] | None = None

    def ask(self, command: str, *arguments: Any) -> dict[str, Any]:
        """The answer to a command; AssertionError with the end of the log where the process ends instead."""
        self.tell(command, *arguments)
        return self.read_answer()

    def read_answer(self) -> dict[str, Any]:
        """The answer to what it was told, when it comes."""
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.kill()  # the next test gets a new one
        assert line, f"the flows' process has ended:\n{self._log.read_text()[-3000:]}"
        return dict(json.loads(line))

    def tell(self, command: str, *arguments: Any) -> None:
        """Give a command, and do not wait for its answer."""
        if self._process is None:
            with self._log.open("a") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tests.flow_process"],
                    cwd=CHECKOUT, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                    text=True,
                )  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([command, arguments]) + "\n")
        self._process.stdin.flush()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It stands still meanwhile."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory ends."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@dataclass
class World:
    """The stack with what a test asks of it. Environments are `terraform_data`, in an account of these tests' own."""

    stack: LocalStack
    account: AwsAccount
    ledger: Ledger
    prefect: PrefectApi
    faults: Faults
    process: FlowProcess

    def add_spec(self, name: str, **changes: Any) -> int:
        """Store a small specification that makes `PARTS`, as quickly as they can be."""
        base = json.loads(read_declared("sandbox")[1].canonical_json())
        own = {"name": name, "cloud": "terraform_data", "account": self.account.name}
        own |= {"data": {"queue": {}, "media": {}}, "services": {}}
        without_end = {key: value for key, value in base.items() if key not in ("ttl", "ttl_warning")}
        spec = EnvironmentSpec.model_validate_json(json.dumps(without_end | own | changes))
        return self.ledger.add_spec(name, spec.canonical_json(), "", "tests")

    def run(self, word: str, name: str, version: int | None = None, request_id: str | None = None) -> RunRow:
        """A run of a flow, to its end, as the ledger tells it."""
        parameters = {"environment": name} | ({} if version is None else {"spec_version": version})
        return self._read_ended(self.process.ask("run", word, parameters, request_id))

    def retry(self, word: str, run_id: str) -> RunRow:
        """The same run once more, as by Prefect's Retry."""
        return self._read_ended(self.process.ask("retry", word, run_id))

    def _read_ended(self, answer: dict[str, Any]) -> RunRow:
        run = self.ledger.read_run(answer["run_id"])
        assert run is not None, f"the ledger does not know the run: {answer}"
        assert run.finished_at is not None, f"the ledger does not know how the run ended: {answer}"
        assert (answer["state"] == "COMPLETED") == (run.status == "succeeded"), answer
        return run

    def make(self, name: str, **changes: Any) -> int:
        """An environment that is ready; the version of its spec."""
        version = self.add_spec(name, **changes)
        assert self.run("provision", name, version).status == "succeeded"
        return version

    def plan(self, name: str, version: int, *, upgrade: bool = False) -> str:
        """The id of a plan that is saved."""
        parameters = {"environment": name, "spec_version": version, "upgrade": upgrade}
        run = self._read_ended(self.process.ask("run", "plan", parameters, None))
        assert run.status == "succeeded", run.error
        assert run.report is not None
        return str(run.report["plan_id"])

    def apply_plan(self, name: str, version: int, plan_id: str, actor: str = "alice") -> RunRow:
        """A run that applies a saved plan, asked for by somebody."""
        return self.run("provision", name, version, self.ask(Operation.PROVISION, name, version, plan_id, actor))

    def read_plan(self, plan_id: str) -> Changes:
        """What a saved plan would change."""
        row = self.ledger.read_plan(plan_id)
        assert row is not None
        return Changes.model_validate_json(row.changes_json)

    def expire(self) -> None:
        """What the schedule of `expire` does every minute."""
        answer = self.process.ask("run", "expire", {}, None)
        assert answer["state"] == "COMPLETED", answer

    def sweep(self) -> None:
        """What the schedule of `sweep` does every minute."""
        answer = self.process.ask("run", "sweep", {}, None)
        assert answer["state"] == "COMPLETED", answer

    def count_notices(self, name: str, kind: str, expires_at: datetime) -> int:
        """How often something was done about the end of an environment."""
        wanted = {"environment": name, "kind": kind, "expires_at": expires_at}
        with self.ledger._read() as connection:
            return len(connection.execute(select(notice).filter_by(**wanted)).all())

    def start(self, deployment: str, name: str, version: int | None = None) -> PrefectRun:
        """Queue a run for the worker, as the console does."""
        parameters = {"environment": name} | ({} if version is None else {"spec_version": version})
        return self.prefect.start_run(deployment, parameters, str(uuid.uuid4()))

    def ask(self, operation: Operation, name: str, version: int | None, plan_id: str | None, actor: str) -> str:
        """A request in the ledger, as the console makes it."""
        request_id = str(uuid.uuid4())
        self.ledger.add_request(request_id, name, operation, version, plan_id, actor)
        return request_id

    def read(self, name: str) -> EnvironmentRow:
        """An environment as the ledger sees it."""
        row = self.ledger.read_environment(name)
        assert row is not None, f"the ledger knows no environment {name}"
        return row

    def status(self, name: str) -> str | None:
        """An environment's status; None for one that no run was ever to make."""
        row = self.ledger.read_environment(name)
        return row.status if row else None

    def observe(self, name: str) -> dict[str, Any]:
        """What the account holds of an environment."""
        return read_world(self.account, name)

    def parts(self, name: str) -> list[str]:
        """The parts in an environment's state."""
        addresses = self.observe(name)["resources"]
        return sorted({address.removeprefix("terraform_data.").partition("[")[0] for address in addresses})

    def steps(self, run_id: str) -> list[StepRow]:
        """A run's steps in the ledger."""
        return self.ledger.read_steps(run_id)

    def ask_prefect(self, path: str, **body: Any) -> Any:
        """A filter of Prefect's own API."""
        answer = httpx.post(f"{self.prefect.url}{path}", json=body, timeout=30, trust_env=False)
        assert answer.is_success, answer.text
        return answer.json()

    def read_artifact(self, key: str) -> str:
        """The newest artifact of a key, as Prefect's UI shows it."""
        found = httpx.get(f"{self.prefect.url}/artifacts/{key}/latest", timeout=30, trust_env=False)
        assert found.is_success, found.text
        return str(found.json()["data"])

    def is_clean(self, run_id: str) -> bool:
        """Whether a run has left no scratch folder."""
        return not any((self.stack.settings.state_dir / "work").glob(f"*/{run_id}"))


def pause_schedule(prefect: PrefectApi, deployment: str, *, is_paused: bool) -> None:
    """Stop a deployment's schedule, or let it go on."""
    found = prefect.call("POST", "/deployments/filter", {"deployments": {"name": {"any_": [deployment]}}})
    httpx.patch(f"{prefect.url}/deployments/{found[0]['id']}", json={"paused": is_paused}, trust_env=False)
