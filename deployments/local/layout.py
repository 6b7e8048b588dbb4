"""Where the local stack keeps what: every file and folder below the state folder, and who may read it."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from blocks.kept_servers import KEPT_FOLDER

# Bytes. A socket's address holds 108 on Linux and 104 on macOS, and Terraform puts sockets of its own in TMPDIR.
LONGEST_FOLDER = 70


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
    def upgrades(self) -> Path:
        """Dumps of the ledger from before its migrations."""
        return self.state_dir / "upgrades"

    @property
    def prefect_home(self) -> Path:
        """PREFECT_HOME of everything that the stack starts."""
        return self.state_dir / "prefect"

    @property
    def prefect_certificate(self) -> Path:
        """The certificates that Prefect's clients read (certificate.py)."""
        return self.prefect_home / "certificate.pem"

    @property
    def prefect_pages(self) -> Path:
        """The files of Prefect's UIs, a folder each, as its server copies them out of its package."""
        return self.state_dir / "prefect-pages"

    @property
    def supervisor_config(self) -> Path:
        """Mode 0600: it holds the servers' environment, passwords included."""
        return self.state_dir / "supervisord.conf"

    @property
    def kept(self) -> Path:
        """The servers that environments keep, a file each for the supervisor and a record beside it."""
        return self.state_dir / KEPT_FOLDER

    @property
    def supervisor_socket(self) -> Path:
        """Only this user can talk to the supervisor."""
        return self._near / "supervisor.sock"

    @property
    def vault(self) -> Path:
        """The local Vault's folder: configuration, key, storage and credentials, for its user alone."""
        return self.state_dir / "vault"

    @property
    def vault_root(self) -> Path:
        """The local Vault's root token and recovery key, mode 0600: for `up` and its user."""
        return self.vault / "root.json"

    @property
    def vault_secret_id(self) -> Path:
        """What flows log in to the local Vault with, mode 0600."""
        return self.vault / "secret-id"

    @property
    def temporary(self) -> Path:
        """TMPDIR of everything that the stack starts: Prefect's worker keeps a folder there that users cannot share."""
        return self._near / "tmp"

    @property
    def _near(self) -> Path:
        """The state folder, or one in the system's temporary folder where the address of a socket would be too long."""
        if len(os.fsencode(self.state_dir)) <= LONGEST_FOLDER:
            return self.state_dir
        digest = hashlib.sha256(os.fsencode(self.state_dir)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"terrarium-{os.getuid()}-{digest}"

    def create(self) -> None:
        """Make the folders. Root's state folder may be passed through, because PostgreSQL runs as another user."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self.state_dir.chmod(0o711 if os.getuid() == 0 else 0o700)
        self._near.mkdir(mode=0o700, exist_ok=True)
        if self._near.stat().st_uid != os.getuid():
            raise PermissionError(f"{self._near} belongs to another user; remove it.")
        for folder in (self.logs, self.prefect_home, self.temporary, self.kept):
            folder.mkdir(mode=0o700, exist_ok=True)
