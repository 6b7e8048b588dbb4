"""Who holds a Terraform state lock, and whether that is provably a dead process of this machine and this stack.

Terraform's lock names user and host, no process. So the run that drives Terraform writes the missing half down. Proof:

1. Terraform writes the ID of a lock into its own log before it takes it, and each child has a log of its own
   (`<holders folder>/<child>.log`). Beside it stands which process the child is: its id, start time, boot, process
   namespace and machine (`<child>.json`). Both are removed when Terraform has ended and released its lock.
2. A lock is broken only where such a log names its ID, and that process is gone: its machine has booted since, or it
   ran in our process namespace and no process has its id and start time. A pid of another container proves nothing.
"""

import os
import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.errors import TemporaryError, TerrariumError

_FIELD = re.compile(r"^\s*(ID|Who|Operation|Created):\s*(.+?)\s*$", re.MULTILINE)


class LockHolder(BaseModel):
    """What Terraform says of a lock. `who` is user@host; `created_at` is the holder's own clock."""

    model_config = ConfigDict(frozen=True)

    id: str
    who: str
    operation: str
    created_at: datetime


class HolderProcess(BaseModel):
    """The process behind a lock, named so that it can be told from every other process, before and after a boot."""

    model_config = ConfigDict(frozen=True)

    pid: int
    start_ticks: int
    boot_id: str
    pid_namespace: str
    machine_id: str


class LockedError(TemporaryError):
    """Somebody else is changing this state. `holder` says who."""

    def __init__(self, label: str, holder: LockHolder, folder: Path) -> None:
        super().__init__(
            f"{label}: the state is locked by {holder.who} ({holder.operation}, "
            f"since {holder.created_at:%Y-%m-%d %H:%M:%S} UTC, lock {holder.id}).",
            "Wait until that has finished. If you know that it is dead: "
            f"`terraform force-unlock {holder.id}` in {folder}.",
        )
        self.holder = holder


def read_lock_error(detail: str) -> LockHolder | None:
    """The holder that Terraform's `Error acquiring the state lock` names, None where it names none."""
    fields = dict(_FIELD.findall(detail))
    if {"ID", "Who", "Operation", "Created"} - fields.keys():
        return None
    return LockHolder(
        id=fields["ID"], who=fields["Who"], operation=fields["Operation"], created_at=_read_time(fields["Created"])
    )


def read_lock_file(content: dict[str, Any]) -> LockHolder:
    """The holder from the JSON that Terraform's S3 backend keeps in `<state key>.tflock`."""
    return LockHolder(
        id=content["ID"],
        who=content["Who"],
        operation=content["Operation"],
        created_at=_read_time(content["Created"]),
    )


def _read_time(text: str) -> datetime:
    """Go prints nine decimals and `+0000 UTC`, or RFC 3339; the zone is always UTC."""
    match = re.match(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(\.\d+)?)", text)
    if match is None:
        raise ValueError(f"not a time of Terraform's: {text!r}")
    return datetime.fromisoformat(f"{match[1]}T{match[2]}").replace(tzinfo=UTC)


def identify_process(pid: int) -> HolderProcess | None:
    """What tells this process from all others; None where it is gone or the system does not say (no /proc)."""
    try:
        return HolderProcess(
            pid=pid,
            start_ticks=_read_start_ticks(pid),
            boot_id=Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            pid_namespace=os.readlink("/proc/self/ns/pid"),
            machine_id=_read_machine_id(),
        )
    except (OSError, ValueError):
        return None


def is_provably_dead(process: HolderProcess) -> bool:
    """True only where nothing alive can be this process. False means unknown or alive."""
    here = identify_process(os.getpid())
    if here is None:
        return False
    if process.boot_id != here.boot_id:
        return bool(here.machine_id) and process.machine_id == here.machine_id
    if process.pid_namespace != here.pid_namespace:
        return False
    try:
        return _read_start_ticks(process.pid) != process.start_ticks
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False


def _read_start_ticks(pid: int) -> int:
    """Start time in clock ticks since boot: field 22 of /proc/PID/stat (man 5 proc); a zombie counts as gone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if fields[0] in "ZX":
        raise FileNotFoundError(pid)
    return int(fields[19])


def _read_machine_id() -> str:
    """The id of this installation (man 5 machine-id); empty where there is none."""
    with suppress(OSError):
        return Path("/etc/machine-id").read_text().strip()
    return ""


class LockRecorder:
    """Which of our processes took which lock. `read_lock` gives what stands in the state bucket.

    A child has `environment` in its own, so that it tells in its log which locks it takes.
    """

    def __init__(self, folder: Path, read_lock: Callable[[], LockHolder | None]) -> None:
        self._folder = folder
        self._read_lock = read_lock
        self._log = folder / "none.log"

    def begin(self) -> dict[str, str]:
        """A Terraform child is about to be started; the variables that it needs for it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._log = self._folder / f"{uuid.uuid4().hex}.log"
        return {"TF_LOG_CORE": "INFO", "TF_LOG_PATH": str(self._log.absolute())}

    def start(self, pid: int) -> None:
        """The child has been started."""
        if process := identify_process(pid):
            self._log.with_suffix(".json").write_text(process.model_dump_json())

    def finish(self, returncode: int) -> None:
        """The child has ended. Whether it released its lock is asked: killed, or without S3, it could not."""
        if returncode == 0 or not self._is_held():
            _remove(self._log)

    def _is_held(self) -> bool:
        if "lock.id=" not in _read_log(self._log):
            return False
        try:
            holder = self._read_lock()
        except (TerrariumError, ValueError, KeyError):
            return True
        return holder is not None and _names(self._log, holder.id)

    def is_dead(self, lock_id: str) -> bool:
        """Whether this lock was taken by a process of this stack that is provably dead."""
        log = self._find_log(lock_id)
        try:
            return log is not None and is_provably_dead(
                HolderProcess.model_validate_json(log.with_suffix(".json").read_text())
            )
        except (OSError, ValueError):
            return False

    def forget(self, lock_id: str) -> None:
        """The lock is gone."""
        if log := self._find_log(lock_id):
            _remove(log)

    def _find_log(self, lock_id: str) -> Path | None:
        return next((log for log in self._folder.glob("*.log") if _names(log, lock_id)), None)


def _names(log: Path, lock_id: str) -> bool:
    """Terraform's own words for a lock that it takes; the id is a UUID that this process made up."""
    return bool(re.search(rf"tf_backend\.lock\.id=\"?{re.escape(lock_id)}\b", _read_log(log)))


def _read_log(log: Path) -> str:
    try:
        return log.read_text(errors="replace")
    except OSError:
        return ""


def _remove(log: Path) -> None:
    for path in (log, log.with_suffix(".json")):
        path.unlink(missing_ok=True)
