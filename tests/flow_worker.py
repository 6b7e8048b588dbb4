"""A worker that a test may kill, on a checkout that it may change: a copy of this one with a flow of its own.

It serves a work pool of its own on the Prefect server of the tests' stack.
"""

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from blocks.prefect_api import PrefectApi
from blocks.settings import CHECKOUT
from deployments.worker.zygote import SOURCES
from domain.status import RunStatus
from tests.polling import wait_for
from tests.stack import LocalStack, find_free_ports

FLOW = '''"""A flow that goes on until a file says that it may end."""

import os
import time
from pathlib import Path

from prefect import flow
from prefect.context import FlowRunContext

WORD = "old"


@flow
def trial(folder: str) -> None:
    """Tell its process, its code and its environment; then wait."""
    place = Path(folder)
    (place / "began").write_text(f"{os.getpid()} {WORD} {os.environ.get('TRIAL')}")
    try:
        while not (place / "end").exists():
            time.sleep(0.05)
            if FlowRunContext.get().flow_run_suspension_request.is_requested():
                (place / "suspended").touch()
    except BaseException as error:
        (place / "interrupted").write_text(type(error).__name__)
        raise
'''


@dataclass(frozen=True)
class Trial:
    """A run of the flow, as Prefect and its folder tell it."""

    run_id: str
    folder: Path
    prefect: PrefectApi

    def read_began(self) -> list[str]:
        """Process id, word of the code, variable of the environment; waited for."""
        began = self.folder / "began"
        return wait_for("the run has begun", lambda: began.exists() and began.read_text()).split()

    @property
    def pid(self) -> int:
        """Its process."""
        return int(self.read_began()[0])

    @property
    def status(self) -> RunStatus:
        """What Prefect says."""
        run = self.prefect.read_run(self.run_id)
        assert run is not None
        return run.status

    def wait_for_suspension(self) -> None:
        """Poll until the run's own process has heard that it is to be suspended."""
        wait_for("the run has heard of it", (self.folder / "suspended").exists)

    def end(self) -> None:
        """Let it end."""
        (self.folder / "end").touch()

    def wait_for_status(self, status: RunStatus) -> None:
        """Poll until Prefect says so."""
        wait_for(f"the run is {status}", lambda: self.status == status)


@dataclass
class WorkerYard:
    """The checkout, its pool, and the worker that serves it at the moment."""

    stack: LocalStack
    folder: Path
    pool: str
    deployment_id: str = ""
    process: subprocess.Popen[bytes] | None = None
    trials: list[Trial] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.prefect = PrefectApi(self.stack.settings.prefect_api_url)

    def start(self, **variables: str) -> None:
        """Start a worker."""
        self.port = find_free_ports(1)[0]
        page = {"PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1", "PREFECT_WORKER_WEBSERVER_PORT": str(self.port)}
        environment = {**self.stack.environment, **page, **variables}
        command = [sys.executable, "-m", "deployments.worker", "--pool", self.pool]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL to the worker, as the kernel does when memory ends."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM to the worker; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    @property
    def is_polling(self) -> bool:
        """What the worker's health page says."""
        return httpx.get(f"http://127.0.0.1:{self.port}/health", trust_env=False).is_success

    @property
    def pid(self) -> int:
        """The worker's process."""
        assert self.process is not None
        return self.process.pid

    def find_zygote(self) -> psutil.Process:
        """The process that runs are forked from."""
        children = psutil.Process(self.pid).children()
        return next(child for child in children if child.name() == "zygote")

    def run(self) -> Trial:
        """A run of the flow that has begun."""
        trial = self.queue()
        trial.read_began()
        return trial

    def queue(self) -> Trial:
        """A run of the flow."""
        folder = self.folder / "runs" / uuid.uuid4().hex
        folder.mkdir(parents=True)
        found = self.prefect.start_run(self.pool, {"folder": str(folder)}, folder.name)
        self.trials.append(Trial(found.run_id, folder, self.prefect))
        return self.trials[-1]

    def ask(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Prefect's own API."""
        answer = httpx.request(method, f"{self.prefect.url}{path}", json=body, timeout=30, trust_env=False)
        assert answer.is_success, answer.text
        return dict(answer.json()) if answer.content else {}


@contextmanager
def open_yard(stack: LocalStack, folder: Path) -> Iterator[WorkerYard]:
    """A copy of the checkout with the flow in it, registered; its worker runs."""
    for name in SOURCES:
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "flows" / "trial.py").write_text(FLOW)
    yard = WorkerYard(stack, folder, f"yard-{uuid.uuid4().hex[:8]}")
    yard.ask("POST", "/work_pools/", {"name": yard.pool, "type": "process"})
    flow_id = yard.ask("POST", "/flows/", {"name": "trial"})["id"]
    deployed = {"name": yard.pool, "flow_id": flow_id, "entrypoint": "flows.trial.trial", "work_pool_name": yard.pool}
    variables = {"working_dir": str(folder), "env": {"TRIAL": "its-own"}}
    yard.deployment_id = yard.ask("POST", "/deployments/", {**deployed, "job_variables": variables})["id"]
    yard.start()
    try:
        yield yard
    finally:
        for trial in yard.trials:
            trial.end()
        yard.stop()


def change_flow(yard: WorkerYard) -> None:
    """Edit the flow's file."""
    path = yard.folder / "flows" / "trial.py"
    path.write_text(path.read_text().replace('"old"', '"new"'))


def is_alive(pid: int) -> bool:
    """The process runs, and is not only waited for."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def kill(pid: int) -> None:
    """SIGKILL."""
    os.kill(pid, signal.SIGKILL)
