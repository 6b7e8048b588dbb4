"""As whom PostgreSQL runs and where its files are: it refuses root, and another user may not reach the state folder."""

import hashlib
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import PermanentError

# The system's state directory; a folder of this stack's own is made below it, and only as root.
SYSTEM_STATE = Path("/var/lib/terrarium")


@dataclass(frozen=True)
class Account:
    """A user of this machine, other than root."""

    name: str
    uid: int
    gid: int

    def subprocess_options(self) -> dict[str, Any]:
        """What makes `subprocess` run a child as this user, without any of root's groups."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@dataclass(frozen=True)
class DatabaseFolder:
    """`account` is None where we are not root: then PostgreSQL runs as we do."""

    folder: Path
    programs: Path
    account: Account | None = None

    @property
    def cluster(self) -> Path:
        """PostgreSQL's data directory."""
        return self.folder / "data"

    def run(self, program: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a PostgreSQL program as the account, with `text` on its standard input and nothing of our environment."""
        command = [str(self.programs / program), *arguments]
        options = self.account.subprocess_options() if self.account else {}
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
        return subprocess.run(
            command,
            input=text,
            cwd=self.folder,
            env=environment,
            text=True,
            capture_output=True,
            timeout=120,
            **options,
        )

    def read_version(self) -> str:
        """Version of the server programs, like 15.6."""
        return self.run("postgres", "--version").stdout.split()[2]


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


def create_database_folder(state_dir: Path, programs: Path, account: Account | None) -> DatabaseFolder:
    """Make PostgreSQL's folder where its account can reach it, and bring its programs within its reach."""
    folder = choose_folder(state_dir, account)
    folder.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(folder, account.uid, account.gid)
        if not can_reach(programs / "postgres", account):
            programs = _copy_programs(programs, folder)
    return DatabaseFolder(folder, programs, account)


def choose_folder(state_dir: Path, account: Account | None) -> Path:
    """Below the state folder where the account can reach that, else below the system's state directory."""
    if account is None or can_reach(state_dir, account):
        return state_dir / "postgres"
    name = f"{state_dir.parent.name}-{hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:12]}"
    SYSTEM_STATE.mkdir(parents=True, exist_ok=True)
    SYSTEM_STATE.chmod(0o755)  # whatever the umask is
    return SYSTEM_STATE / name


def can_reach(path: Path, account: Account) -> bool:
    """Asked of the system itself, as that user: so access lists count as well as modes."""
    test = shutil.which("test") or "/usr/bin/test"
    return subprocess.run([test, "-x", str(path)], cwd="/", **account.subprocess_options()).returncode == 0


def _copy_programs(programs: Path, folder: Path) -> Path:
    """Copy a wheel's whole PostgreSQL (`bin`, `lib`, `share`) out of a checkout that the account cannot enter."""
    copy = folder / "programs"
    shutil.copytree(programs.parent, copy, symlinks=True, dirs_exist_ok=True)
    copy.chmod(0o755)
    return copy / programs.name
