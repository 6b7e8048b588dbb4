"""Which processes work in a folder: how a server is found with everything that it has started, and proved dead.

Invariant: a process that cannot be looked into is never taken for one that is not there.
"""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from domain.errors import PermanentError

PROCESSES = Path("/proc")
#: How long what was killed may take to be gone: a process in the middle of a write to the disk.
KILL_SECONDS = 10.0
POLL_SECONDS = 0.002
#: Linux cuts the names of processes.
NAME_LENGTH = 15


def list_workers(folder: Path, program: str = "") -> set[int]:
    """The processes that work in a folder, but for this one. One that is dead and not yet collected works nowhere.

    PermanentError where a process of `program` (a file's name), of the folder's owner, cannot be looked into.
    """
    if not folder.exists():
        return set()
    wanted = os.path.realpath(folder)
    folders = _read_folders(folder.stat(), program) if (PROCESSES / "self").exists() else _ask_system()
    return {pid for pid, found in folders.items() if found == wanted and pid != os.getpid()}


def kill_workers(folder: Path, name: str, program: str = "") -> int:
    """SIGKILL to every process that works in a folder, also frozen ones, until none is left; how many were killed.

    PermanentError, with the `name` of what they are, where one cannot be proved dead.
    """
    deadline, killed = time.monotonic() + KILL_SECONDS, set[int]()
    while pids := list_workers(folder, program):
        if time.monotonic() > deadline:
            raise PermanentError(
                f"{name} could not be proved dead: processes {', '.join(map(str, sorted(pids)))} are left.",
                "They hang in the kernel, or belong to another user. Nothing was promoted; end them, then try again.",
            )
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed |= pids
        time.sleep(POLL_SECONDS)
    return len(killed)


def _read_folders(owner: os.stat_result, program: str) -> dict[int, str]:
    """The links of Linux alone: psutil reads more of each process, and an outage waits for this."""
    folders, hidden = {}, set()
    for name in filter(str.isdigit, os.listdir(PROCESSES)):
        with suppress(OSError):
            try:
                folders[int(name)] = os.readlink(PROCESSES / name / "cwd")
            except PermissionError:
                is_owners = (PROCESSES / name).stat().st_uid == owner.st_uid
                if is_owners and (PROCESSES / name / "comm").read_text().strip() == program[:NAME_LENGTH]:
                    hidden.add(int(name))
    return folders | (_ask_as(owner, hidden) if hidden else {})


def _ask_as(owner: os.stat_result, hidden: set[int]) -> dict[int, str]:
    """Root in a container may not look into another user's processes; that user may."""
    links = [f"/proc/{pid}/cwd" for pid in sorted(hidden)]
    user: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    done = subprocess.run(
        ["/bin/ls", "-ld", *links],
        cwd="/",
        env={},
        text=True,
        capture_output=True,
        **(user if os.geteuid() == 0 else {}),
    )
    rows = [line.partition(" /proc/")[2].partition("/cwd -> ") for line in done.stdout.splitlines()]
    found = {int(pid): target for pid, arrow, target in rows if arrow}
    left = {pid for pid in hidden - found.keys() if not _is_dead(pid)}
    if left:
        raise PermanentError(
            f"Processes {', '.join(map(str, sorted(left)))} cannot be looked into, so nothing is proved about them.",
            "Run Terrarium as the user of these processes, or as root with the capability SYS_PTRACE.",
        )
    return found


def _is_dead(pid: int) -> bool:
    """A zombie: its parent has not collected it yet."""
    try:
        return (PROCESSES / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def _ask_system() -> dict[int, str]:
    import psutil

    folders = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            folders[process.pid] = process.cwd()
    return folders
