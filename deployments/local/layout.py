"""Where the local stack keeps what: every file and folder below the state folder, and who may read it."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

# A socket's address holds 108 bytes on Linux and 104 on macOS, the closing zero included.
LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True)
class Layout:
    """Names below the state folder. Only the database's folder may lie elsewhere (account.py)."""

    state_dir: Path

    @property
    def credentials(self) -> Path:
        """Generated passwords and keys, mode 0600."""
        return self.state_dir / "credentials.json"

    @property
    def token(self) -> Path:
        """The bearer token of our API for this user, mode 0600."""
        return self.state_dir / "token"

    @property
    def stack(self) -> Path:
        """What runs where: read by the command line, written by `up`."""
        return self.state_dir / "stack.json"

    @property
    def lock(self) -> Path:
        """Held by a running `up` or `down`."""
        return self.state_dir / "lock"

    @property
    def logs(self) -> Path:
        """One log per server."""
        return self.state_dir / "logs"

    @property
    def prefect_home(self) -> Path:
        """PREFECT_HOME of everything that the stack starts."""
        return self.state_dir / "prefect"

    @property
    def supervisor_config(self) -> Path:
        """Mode 0600: it holds the servers' environment, passwords included."""
        return self.state_dir / "supervisord.conf"

    @property
    def supervisor_socket(self) -> Path:
        """In the state folder, or in the system's temporary folder where that address would be too long."""
        inside = self.state_dir / "supervisor.sock"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
            return inside
        digest = hashlib.sha256(os.fsencode(self.state_dir)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"terrarium-{os.getuid()}-{digest}" / "supervisor.sock"

    def create(self) -> None:
        """Make the folders. Root's state folder may be passed through, because PostgreSQL runs as another user."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self.state_dir.chmod(0o711 if os.getuid() == 0 else 0o700)
        for folder in (self.logs, self.prefect_home):
            folder.mkdir(mode=0o700, exist_ok=True)
        if self.supervisor_socket.parent != self.state_dir:
            self.supervisor_socket.parent.mkdir(mode=0o700, exist_ok=True)
            if self.supervisor_socket.parent.stat().st_uid != os.getuid():
                raise PermissionError(f"{self.supervisor_socket.parent} belongs to another user; remove it.")


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)
