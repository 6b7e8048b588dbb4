"""As whom PostgreSQL runs: it refuses root, and another user may not reach our folders."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blocks.private_files import write_private
from domain.errors import PermanentError


@dataclass(frozen=True)
class Account:
    """A user of this machine, other than root."""

    name: str
    uid: int
    gid: int

    def subprocess_options(self) -> dict[str, Any]:
        """What makes `subprocess` run a child as this user, without any of root's groups."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def choose_account(uid: int | None = None) -> Account | None:
    """`postgres`, else `nobody`, for root; None for everybody else."""
    if (os.getuid() if uid is None else uid) != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise PermanentError(
        "PostgreSQL does not run as root, and this machine has no user `postgres` or `nobody`.",
        "Add one (`useradd --system postgres`), or run `make up` as a user who is not root.",
    )


def can_reach(path: Path, account: Account) -> bool:
    """Asked of the system itself, as that user: so access lists count as well as modes."""
    test = shutil.which("test") or "/usr/bin/test"
    return subprocess.run([test, "-x", str(path)], cwd="/", **account.subprocess_options()).returncode == 0


def make_folder(folder: Path, account: Account | None) -> None:
    """A folder that the account alone can enter (and root), made where it is not there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    give(folder, account)


def give(path: Path, account: Account | None) -> None:
    """Let a file or folder belong to the account; where we are not root it is ours, which is the same."""
    if account:
        os.chown(path, account.uid, account.gid)


def write_owned(path: Path, text: str, account: Account | None) -> None:
    """Write a file that the account alone can read (and root), whole or not at all."""
    write_private(path, text, (account.uid, account.gid) if account else None)


def bring_programs(programs: Path, folder: Path, account: Account | None) -> Path:
    """The programs where the account can reach them: copied into `folder` from a checkout that it cannot enter."""
    reachable = find_reachable(programs, folder, account)
    if reachable != programs:
        shutil.copytree(programs.parent, reachable.parent, symlinks=True, dirs_exist_ok=True)
        reachable.parent.chmod(0o755)
    return reachable


def find_reachable(programs: Path, folder: Path, account: Account | None) -> Path:
    """The programs themselves where the account can reach them, else where `bring_programs` copies them to."""
    is_reachable = account is None or can_reach(programs / "postgres", account)
    return programs if is_reachable else folder / "programs" / programs.name
