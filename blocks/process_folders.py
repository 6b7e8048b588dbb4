"""Which processes work in a folder: how a server is found with everything that it has started, and proved dead.

Invariant: a process that cannot be looked into is never taken for one that is not there.
"""

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from domain.errors import PermanentError

PROCESSES = Path("/proc")
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
