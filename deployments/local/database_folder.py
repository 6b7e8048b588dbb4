"""Where the private PostgreSQL's files are: it refuses root, and another user may not reach the state folder."""

import hashlib
import os
from pathlib import Path

from blocks.postgres.account import Account, bring_programs, can_reach, make_folder
from blocks.postgres.cluster import ServerFolder

# The system's state directory; a folder of this stack's own is made below it, and only as root.
SYSTEM_STATE = Path("/var/lib/terrarium")


def create_database_folder(state_dir: Path, programs: Path, account: Account | None) -> ServerFolder:
    """Make PostgreSQL's folder where its account can reach it, and bring its programs within its reach."""
    folder = choose_folder(state_dir, account)
    make_folder(folder, account)
    return ServerFolder(folder, bring_programs(programs, folder, account), account)


def choose_folder(state_dir: Path, account: Account | None) -> Path:
    """Below the state folder where the account can reach that, else below the system's state directory."""
    if account is None or can_reach(state_dir, account):
        return state_dir / "postgres"
    name = f"{state_dir.parent.name}-{hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:12]}"
    SYSTEM_STATE.mkdir(parents=True, exist_ok=True)
    SYSTEM_STATE.chmod(0o755)  # whatever the umask is
    return SYSTEM_STATE / name
