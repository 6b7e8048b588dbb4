"""Who holds a Terraform state lock, and whether that is provably a dead process of this machine and this stack.

Terraform's lock names user and host, no process. So the run that drives Terraform writes the missing half down. Proof:

1. Terraform's stream shows a resource (`refresh_start`, `planned_change`, …) only while it holds the lock, and there is
   one lock. What stands in the state bucket at that moment, created between the child's start and that message, is
   the child's; its ID is written with the child's process id, start time, boot, process namespace and machine to a
   file of this stack (`<holders folder>/<lock id>.json`), and removed when Terraform has ended by itself.
2. A lock is broken only where such a file names its ID, and that process is gone: its machine has booted since, or it
   ran in our process namespace and no process has its id and start time. A pid of another container proves nothing.

A holder that died before its first resource line was never written down: it is reported, with the way out.
"""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.errors import TemporaryError, TerrariumError

RETRY_SECONDS = 15.0
HELD_TYPES = frozenset({"refresh_start", "resource_drift", "planned_change", "apply_start"})
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
            delay_seconds=RETRY_SECONDS,
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
    """Writes down which of our processes holds which lock. `read_lock` gives what stands in the state bucket."""

    def __init__(self, folder: Path, read_lock: Callable[[], LockHolder | None]) -> None:
        self._folder = folder
        self._read_lock = read_lock
        self._process: HolderProcess | None = None
        self._started_at = datetime.now(UTC)
        self._lock_id = ""

    def begin(self) -> None:
        """A Terraform child is about to be started."""
        self._process, self._started_at, self._lock_id = None, datetime.now(UTC), ""

    def start(self, pid: int) -> None:
        """The child has been started."""
        self._process = identify_process(pid)

    def observe(self, message: dict[str, Any]) -> None:
        """One message of its stream; a lock that cannot be read or attributed is left unrecorded."""
        if self._lock_id or self._process is None or message.get("type") not in HELD_TYPES:
            return
        with suppress(TerrariumError, ValueError, KeyError):
            holder = self._read_lock()
            shown_at = _read_time(message["@timestamp"])
            if holder and self._started_at <= holder.created_at <= shown_at and not is_provably_dead(self._process):
                self._lock_id = holder.id
                self._folder.mkdir(parents=True, exist_ok=True)
                self._path(holder.id).write_text(self._process.model_dump_json())
                return
        self._process = None  # one try: a lock read later may be somebody else's

    def finish(self, returncode: int) -> None:
        """The child has ended. Whether it released its lock is asked: killed, or without S3, it could not."""
        if self._lock_id and (returncode == 0 or not self._is_held()):
            self._path(self._lock_id).unlink(missing_ok=True)

    def _is_held(self) -> bool:
        try:
            holder = self._read_lock()
        except (TerrariumError, ValueError, KeyError):
            return True
        return holder is not None and holder.id == self._lock_id

    def is_dead(self, lock_id: str) -> bool:
        """Whether this lock's holder is a process of this stack that is provably dead."""
        try:
            return is_provably_dead(HolderProcess.model_validate_json(self._path(lock_id).read_text()))
        except (OSError, ValueError):
            return False

    def forget(self, lock_id: str) -> None:
        """The lock is gone."""
        self._path(lock_id).unlink(missing_ok=True)

    def _path(self, lock_id: str) -> Path:
        return self._folder / f"{Path(lock_id).name}.json"
