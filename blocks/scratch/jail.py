"""Programs of PostgreSQL in a jail: no network, no view of this machine, a user of its own. `enter.py` makes it.

Invariant: what runs there ends with our process, however that ends; what it wrote is below one folder.
"""

import hashlib
import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from domain.errors import RefusedError

ENTER = Path(__file__).with_name("enter.py")
EXIT_NO_JAIL = 125
#: What programs of the system need to start; where it is a link, it is one in the jail too.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache", "/etc/alternatives")
#: From these the user of a jail is taken: systemd's range for services that exist only while they run.
FIRST_UID, UIDS = 61184, 4336
#: The only user that a jail knows.
USER = "scratch"

#: What is seen of this machine, where, and whether it may be written.
Bind = tuple[str, str, bool]


@dataclass(frozen=True)
class Jail:
    """A folder of this machine: `work` is written by the jail, `dump` is read by it, nothing else is seen."""

    folder: Path
    programs: Path

    @property
    def work(self) -> Path:
        """In the jail: /scratch."""
        return self.folder / "work"

    @property
    def dump(self) -> Path:
        """In the jail: /dump, read-only."""
        return self.folder / "dump"

    @property
    def uid(self) -> int:
        """Its user's and group's number: as root one that no account has, else ours under another name."""
        known = {entry.pw_uid for entry in pwd.getpwall()}
        start = int(hashlib.sha256(os.fsencode(self.folder)).hexdigest(), 16)
        choices = (FIRST_UID + (start + offset) % UIDS for offset in range(UIDS))
        return next(uid for uid in choices if uid not in known)

    def create(self) -> None:
        """Make the folder anew, for its user alone. RefusedError where this machine can make no jail."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True)
        (self.folder / "etc").mkdir()
        (self.folder / "root").mkdir()
        (self.folder / "etc" / "passwd").write_text(f"{USER}:x:{self.uid}:{self.uid}::/scratch:/bin/false\n")
        (self.folder / "etc" / "group").write_text(f"{USER}:x:{self.uid}:\n")
        (self.folder / "etc" / "nsswitch.conf").write_text("passwd: files\ngroup: files\n")
        for path in (self.folder / "etc").iterdir():
            path.chmod(0o644)  # whatever the umask is: another user reads them
        try:
            for folder in (self.work, self.dump):
                folder.mkdir(mode=0o700)
                self.give(folder)
        except OSError as error:  # root of a user namespace that knows no other user
            raise _refuse(f"{error.strerror}") from error
        tried = self.run("/bin/true")
        if tried.returncode:
            raise _refuse(tried.stderr.strip())

    def give(self, path: Path) -> None:
        """To the jail's user, where that is another one."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.uid)

    def run(
        self, program: str, *arguments: str, text: str = "", timeout: float = 60
    ) -> "subprocess.CompletedProcess[str]":
        """A program that may write in `work`. TimeoutExpired where it takes longer; it is killed then."""
        return self._run(self._list_server_binds(), program, arguments, timeout, text)

    def run_client(self, program: str, *arguments: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        """A program that reads the dump and has of the server the socket alone, below /scratch/socket."""
        return self._run(self._list_client_binds(), program, arguments, timeout)

    def _run(
        self, binds: Sequence[Bind], program: str, arguments: Sequence[str], timeout: float, text: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        with self._begin(binds, program, arguments, subprocess.PIPE, subprocess.PIPE) as process:
            out, err = process.communicate(text, timeout=timeout)
        return subprocess.CompletedProcess(program, process.returncode, out, err)

    @contextmanager
    def started(self, log: IO[bytes], program: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        """A program that runs until the context ends; what it says goes to `log`."""
        with self._begin(self._list_server_binds(), program, arguments, log, log) as process:
            assert process.stdin is not None
            process.stdin.close()
            yield process

    @contextmanager
    def _begin(
        self, binds: Sequence[Bind], program: str, arguments: Sequence[str], out: Any, err: Any
    ) -> Iterator["subprocess.Popen[str]"]:
        lifeline, ours = os.pipe()
        wanted = {
            "lifeline": lifeline,
            "root": str(self.folder / "root"),
            "binds": binds,
            "uid": self.uid,
            "gid": self.uid,
            "folder": "/tmp",  # noqa: S108 - the jail's own
            "command": [program if program.startswith("/") else str(self.programs / program), *arguments],
            "environment": {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": "/scratch"},
        }
        command = [sys.executable, "-I", "-S", str(ENTER), json.dumps(wanted)]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                env={},
                cwd="/",
                text=True,
                errors="replace",
                pass_fds=(lifeline,),
                start_new_session=True,
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(lifeline)
        try:
            yield process
        finally:
            os.close(ours)
            process.wait()

    def _list_server_binds(self) -> list[Bind]:
        return [*self._list_system_binds(), (str(self.work), "/scratch", True), (str(self.dump), "/dump", False)]

    def _list_client_binds(self) -> list[Bind]:
        seen: list[Bind] = [(str(self.work / "socket"), "/scratch/socket", True), (str(self.dump), "/dump", False)]
        return [*self._list_system_binds(), *seen]

    def _list_system_binds(self) -> list[Bind]:
        found = [(path, path, False) for path in SYSTEM if os.path.lexists(path)]
        if not self.programs.is_relative_to("/usr"):
            home = str(self.programs.parent)
            found.append((home, home, False))
        return [*found, *((str(path), f"/etc/{path.name}", False) for path in sorted((self.folder / "etc").iterdir()))]


def _refuse(fault: str) -> RefusedError:
    return RefusedError(
        f"A dump is code, and this machine can make no jail for it: {fault}.",
        "Work as root, or where users may make user namespaces (sysctl user.max_user_namespaces).",
    )
