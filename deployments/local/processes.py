"""Processes of one stack, told by the mark in their environment: only such a process is ever ended."""

import time
from collections.abc import Iterable

import psutil

from deployments.local.environment import MARK


def find_processes(stack_id: str) -> list[psutil.Process]:
    """All processes that carry the stack's mark, and their descendants; never this process or its ancestors."""
    own = {psutil.Process().pid, *(parent.pid for parent in psutil.Process().parents())}
    marked = [process for process in psutil.process_iter() if _is_marked(process, stack_id)]
    found = {process.pid: process for process in [*marked, *list_descendants(marked)]}
    return [process for pid, process in found.items() if pid not in own]


def list_descendants(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Children, their children and so on, of those that are still there."""
    found: list[psutil.Process] = []
    for process in processes:
        try:
            found += process.children(recursive=True)
        except psutil.NoSuchProcess:
            continue
    return found


def end_processes(processes: Iterable[psutil.Process], grace_seconds: float) -> None:
    """SIGTERM, then SIGKILL to what is left after the grace. psutil checks the start time: a reused pid is safe."""
    processes = list(processes)
    for process in processes:
        _signal(process, "terminate")
    for process in wait_for_end(processes, grace_seconds):
        _signal(process, "kill")
    wait_for_end(processes, 5)


def wait_for_end(processes: Iterable[psutil.Process], timeout_seconds: float) -> list[psutil.Process]:
    """Those that still run after the time. One that is dead and not yet collected by its parent does not run."""
    deadline = time.monotonic() + timeout_seconds
    while (left := [process for process in processes if is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def is_alive(process: psutil.Process) -> bool:
    """The same process still runs."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_marked(process: psutil.Process, stack_id: str) -> bool:
    try:
        return process.environ().get(MARK) == stack_id
    except (psutil.Error, OSError):
        return False


def _signal(process: psutil.Process, verb: str) -> None:
    try:
        getattr(process, verb)()
    except psutil.NoSuchProcess:
        return
