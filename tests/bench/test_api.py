"""From the call of our API to RUNNING in Prefect: our worker beside Prefect's own process worker, run by run in turn.

`make bench ONLY=api` prints a line name=value for each figure; nothing here asserts a time.
"""

import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from blocks.settings import CHECKOUT
from deployments.catalog import WORK_POOL
from tests.flow_world import FlowProcess
from tests.integration.conftest import bootstrap, open_account
from tests.polling import wait_for
from tests.stack import LocalStack

CALLS = 50
AT_ONCE = 4
#: Seconds in which nobody asks Prefect how a run goes: each question would take of the core that is measured. As long
#: a rest lies between the two workers.
SILENCE = 1.0
POLL_SECONDS = "1"
#: Pools in turn: ours, and one that Prefect's own process worker serves.
OURS, STOCK = WORK_POOL, "stock"
SPEC = """
name: {name}
class: sandbox
cloud: terraform_data
account: {account}
owner: a@travelblog.example
cost_centre: TB-100
data:
  queue: {{}}
"""


@dataclass(frozen=True)
class Call:
    """Seconds of one call: to its answer, and to RUNNING, which is Prefect's time of that state."""

    answered: float
    running: float


class Caller:
    """Asks for plans, so that nothing is left to remove, and waits for each run's end before it counts."""

    def __init__(self, stack: LocalStack, account: str) -> None:
        self._account = account
        token = {"Authorization": f"Bearer {stack.token}"}
        self._api = httpx.Client(base_url=stack.settings.api_url, headers=token, timeout=60, trust_env=False)
        self._prefect = httpx.Client(base_url=stack.settings.prefect_api_url, timeout=60, trust_env=False)
        found = self._prefect.post("/deployments/filter", json={"deployments": {"name": {"any_": ["plan"]}}})
        self._deployment_id = found.json()[0]["id"]

    def choose_pool(self, pool: str) -> None:
        """Whose worker gets the next runs; then a rest, so that what the other's run left is not measured."""
        self._prefect.patch(f"/deployments/{self._deployment_id}", json={"work_pool_name": pool}).raise_for_status()
        time.sleep(SILENCE)

    def call(self, _number: int = 0) -> Call:
        """One call, and its run to the end of its process: ending a process costs the next call what it costs this."""
        text = SPEC.format(name=f"b-{uuid.uuid4().hex[:10]}", account=self._account)
        began_at, began = time.time(), time.monotonic()
        answer = self._api.post("/api/environments", json={"spec": text, "plan_only": True})
        answered = time.monotonic() - began
        assert answer.status_code == 202, answer.text
        run_id = answer.json()["run_id"]
        time.sleep(SILENCE)
        states = wait_for("the run has ended", lambda: self._read_states(run_id), 120)
        wait_for("its process has ended", lambda: not self._find_process(run_id).exists(), 120)
        return Call(answered, datetime.fromisoformat(states["RUNNING"]).timestamp() - began_at)

    def _find_process(self, run_id: str) -> Path:
        """Prefect's worker says PID, ours HOST:PID."""
        return Path("/proc", self._prefect.get(f"/flow_runs/{run_id}").json()["infrastructure_pid"].rpartition(":")[2])

    def _read_states(self, run_id: str) -> dict[str, str] | None:
        rows: list[dict[str, Any]] = self._prefect.get("/flow_run_states/", params={"flow_run_id": run_id}).json()
        at = {row["type"]: row["timestamp"] for row in rows}
        assert not {"FAILED", "CRASHED"} & at.keys(), rows
        return at if "COMPLETED" in at else None


@pytest.fixture(scope="module")
def caller(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """Both workers run, and an account is known."""
    folder = tmp_path_factory.mktemp("api")
    account = bootstrap(open_account(stack.settings.emulator_url, f"{uuid.uuid4().int % 10**12:012}"))
    process = FlowProcess(stack.environment, folder / "log")
    process.ask("register", account.model_dump(exclude_none=True))
    process.kill()
    worker = _start_stock_worker(stack, folder)
    try:
        caller = Caller(stack, account.name)
        yield caller
        caller.choose_pool(OURS)
    finally:
        worker.kill()
        worker.wait()


def _start_stock_worker(stack: LocalStack, folder: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", STOCK, "--type", "process"]
    environment = {**stack.environment, "PREFECT_WORKER_QUERY_SECONDS": POLL_SECONDS}
    with (folder / "stock.log").open("ab") as log:
        return subprocess.Popen(command, env=environment, cwd=CHECKOUT, stdout=log, stderr=log)


@pytest.mark.timeout(3600)
def test_api(caller: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    """50 calls one after another, then 50 in groups of 4; every other call, or group, goes to Prefect's own worker."""
    pools = (OURS, STOCK)
    single: dict[str, list[Call]] = {pool: [] for pool in pools}
    grouped: dict[str, list[Call]] = {pool: [] for pool in pools}
    for pool in pools:  # nothing is cold when the clock runs
        caller.choose_pool(pool)
        caller.call()
    for _ in range(CALLS):
        for pool in pools:
            caller.choose_pool(pool)
            single[pool].append(caller.call())
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in range(-(-CALLS // AT_ONCE)):
            for pool in pools:
                caller.choose_pool(pool)
                grouped[pool] += threads.map(caller.call, range(AT_ONCE))
    with capsys.disabled():
        print()  # noqa: T201 - a bench prints its figures
        _print_pair("", single)
        _print_pair(f"_{AT_ONCE}", grouped)
        _print("load_1min", os.getloadavg()[0])


def _print_pair(suffix: str, calls: dict[str, list[Call]]) -> None:
    for pool, name in ((OURS, ""), (STOCK, "stock_")):
        running, answered = [call.running for call in calls[pool]], [call.answered for call in calls[pool]]
        _print(f"{name}api_to_running{suffix}_p50_s", statistics.median(running))
        _print(f"{name}api_to_running{suffix}_p95_s", _percentile(running, 95))
        _print(f"{name}post{suffix}_p50_ms", statistics.median(answered) * 1000)
        _print(f"{name}post{suffix}_p95_ms", _percentile(answered, 95) * 1000)


def _percentile(values: list[float], share: int) -> float:
    """The smallest measured value that at least `share` percent of all reach."""
    return sorted(values)[-(-len(values) * share // 100) - 1]


def _print(name: str, value: float) -> None:
    print(f"{name}={value:.3f}")  # noqa: T201 - a bench prints its figures
