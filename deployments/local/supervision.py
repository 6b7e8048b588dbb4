"""The supervisor of the local stack: started, brought up to date, and told to start and stop parts."""

import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from xmlrpc.client import Fault

import psutil

from blocks.settings import CHECKOUT
from blocks.supervisor import Stack, is_healthy, open_supervisor
from deployments.local.processes import end_processes, find_processes, list_descendants, wait_for_end
from deployments.local.programs import WORKER
from deployments.worker.processes import NAME_PREFIX
from domain.errors import PermanentError

SETTLED = ("STOPPED", "EXITED", "FATAL")
POLL_SECONDS = 0.1
GRACE_SECONDS = 5.0
LOG_LINES = 15


def is_supervisor_running(stack: Stack) -> bool:
    """This stack's own supervisor answers."""
    try:
        with open_supervisor(stack.supervisor_socket) as supervisor:
            return bool(supervisor.getIdentification() == stack.stack_id)
    except OSError:
        return False


def start_supervisor(stack: Stack, config: Path, environment: Mapping[str, str]) -> None:
    """Start it in the background. PermanentError with its own words where it does not come up."""
    stack.supervisor_socket.unlink(missing_ok=True)
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]
    done = subprocess.run(command, env=dict(environment), cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
    deadline = time.monotonic() + 10
    while not is_supervisor_running(stack):
        if done.returncode or time.monotonic() > deadline:
            words = (done.stderr or done.stdout).strip()
            raise PermanentError(
                f"The supervisor did not start: {words}", f"See the logs in {stack.state_dir / 'logs'}."
            )
        time.sleep(POLL_SECONDS)


def update_supervisor(stack: Stack, flow_grace_seconds: float) -> None:
    """Let it read its configuration again: only parts whose configuration changed are stopped."""
    with open_supervisor(stack.supervisor_socket) as supervisor:
        added, changed, removed = supervisor.reloadConfig()[0]
        for name in [*changed, *removed]:
            stop_part(stack, name, flow_grace_seconds)
            supervisor.removeProcessGroup(name)
        for name in [*added, *changed]:
            supervisor.addProcessGroup(name)


def read_state(stack: Stack, part: str) -> str:
    """The supervisor's word for the state of a part."""
    return _read_state_and_start(stack, part)[0]


def wait_for_health(stack: Stack, part: str, timeout_seconds: float) -> bool:
    """Whether a part is healthy, now or within the time; not waited for where the supervisor has given it up."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        state, started_at = _read_state_and_start(stack, part)
        if state == "RUNNING" and is_healthy(stack, part, started_at):
            return True
        if state in SETTLED or time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)


def start_part(stack: Stack, part: str, timeout_seconds: float) -> None:
    """Start a part and wait until it is healthy. PermanentError with the end of its log where it is not in time."""
    with open_supervisor(stack.supervisor_socket) as supervisor:
        supervisor.startProcess(part, False)
    if not wait_for_health(stack, part, timeout_seconds):
        raise _describe_failure(stack, part)


def _read_state_and_start(stack: Stack, part: str) -> tuple[str, float]:
    with open_supervisor(stack.supervisor_socket) as supervisor:
        row = supervisor.getProcessInfo(part)
        return row["statename"], row["start"]


def stop_part(stack: Stack, part: str, flow_grace_seconds: float) -> None:
    """Stop a part and everything that it started: what outlives it is ended by us."""
    with open_supervisor(stack.supervisor_socket) as supervisor:
        row = supervisor.getProcessInfo(part)
        if row["statename"] in SETTLED:
            return
        if part == WORKER:
            _end_runs(stack, flow_grace_seconds)
        descendants = _list_family(row["pid"])[1:]
        with suppress(Fault):  # it may have ended meanwhile
            supervisor.stopProcess(part)
    end_processes(descendants, GRACE_SECONDS)


def _end_runs(stack: Stack, grace_seconds: float) -> None:
    """Each run gets SIGTERM and the time to end in order, with its Terraform, while the worker can still report it.

    A run that a killed worker left behind is among them.
    """
    end_processes([process for process in find_processes(stack.stack_id) if _is_run(process)], grace_seconds)


def _is_run(process: psutil.Process) -> bool:
    try:
        return process.name().startswith(NAME_PREFIX)
    except psutil.NoSuchProcess:
        return False


def shut_down_supervisor(stack: Stack, timeout_seconds: float) -> None:
    """Let the supervisor stop what is left and end."""
    with open_supervisor(stack.supervisor_socket) as supervisor:
        family = _list_family(supervisor.getPID())
        supervisor.shutdown()
    end_processes(wait_for_end(family, timeout_seconds), 5)


def _list_family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return []
    return [process, *list_descendants([process])]


def _describe_failure(stack: Stack, part: str) -> PermanentError:
    log = stack.state_dir / "logs" / f"{part}.log"
    end = log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []
    lines = "".join(f"\n  {line}" for line in end)
    state = read_state(stack, part)
    return PermanentError(
        f"{part} did not become healthy; the supervisor calls it {state}. The end of its log:{lines}\n",
        f"The whole log is {log}. Mend the cause and run `make up` again.",
    )
