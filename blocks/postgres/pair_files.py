"""A pair's files: its record, its passwords and certificate, and the folder of each of its two servers.

All of it lies beside PostgreSQL's own data, in a folder that the servers' account and root alone can enter. Passwords
are in a file that the servers' account cannot read.
"""

import secrets
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from blocks.postgres.account import Account, choose_account, make_folder, write_owned
from blocks.postgres.certificate import draw_certificate
from blocks.postgres.cluster import ServerFolder
from blocks.supervisor import Stack
from domain.errors import PermanentError
from domain.pair import DATABASE, NODES, ROLES, SUPERUSER, Node, PairRecord, Role, other

#: Below the folder of the private PostgreSQL.
PAIRS_FOLDER = "pairs"
CONNECT_SECONDS = 3
#: Over the link: TLS and the password take six ways there and back, each with the delay twice.
LINK_SECONDS = 60


class Passwords(BaseModel):
    """One for each role, drawn once."""

    model_config = ConfigDict(frozen=True)

    roles: dict[Role, str]


@dataclass(frozen=True)
class Pair:
    """A pair of this machine: `record` as it was when the pair was opened."""

    stack: Stack
    record: PairRecord
    folder: Path
    programs: Path
    account: Account | None

    @property
    def environment(self) -> str:
        """Whose pair it is."""
        return self.record.environment

    @property
    def certificate(self) -> Path:
        """What clients check the servers by."""
        return self.folder / "server.crt"

    @property
    def passfile(self) -> Path:
        """The passwords of all roles but the superuser's, as libpq reads them: for who ran `make up`."""
        return self.folder / "pgpass"

    @property
    def spool(self) -> Path:
        """Where each server, in a folder of its own, leaves a WAL segment that is to be archived."""
        return self.folder / "spool"

    @property
    def not_yet(self) -> Path:
        """There until the pair is ready: no segment is archived meanwhile."""
        return self.spool / "not-yet"

    def server(self, node: Node) -> ServerFolder:
        """The folder of one server."""
        return ServerFolder(self.folder / node, self.programs, self.account)

    def name(self, part: str) -> str:
        """What the supervisor calls a part of the pair: dev-a, dev-gateway."""
        return f"{self.environment}-{part}"

    def control(self, relay: str) -> Path:
        """The control socket of the gateway or the link, where its address is short enough."""
        return self.stack.supervisor_socket.parent / f"{self.name(relay)}.sock"

    def password(self, role: Role) -> str:
        """A role's password: for a session or a child's environment, for no argument, log or row."""
        return read_passwords(self.folder).roles[role]

    def conninfo(self, role: Role, at: Node | None = None, database: str = DATABASE) -> dict[str, Any]:
        """How to connect as a role, for psycopg: through the gateway, or to one server itself."""
        ports = self.record.ports
        return {
            "host": self.record.host,
            "port": ports.gateway if at is None else ports.of(at),
            "user": role,
            "password": self.password(role),
            "dbname": database,
            "sslmode": "verify-full",
            "sslrootcert": str(self.certificate),
            "connect_timeout": CONNECT_SECONDS,
        }

    def describe_connection(self, role: Role) -> str:
        """The same through the gateway as a string of libpq's; it names the file with the password, not that."""
        known = {key: value for key, value in self.conninfo(role).items() if key not in ("password", "connect_timeout")}
        return " ".join(f"{key}={_quote(str(value))}" for key, value in {**known, "passfile": self.passfile}.items())

    def variables(self, role: Role, at: Node | None = None, database: str = DATABASE) -> dict[str, str]:
        """The same for a child process of libpq's: environment variables."""
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
        names |= {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "connect_timeout": "PGCONNECT_TIMEOUT"}
        return {names[key]: str(value) for key, value in self.conninfo(role, at, database).items()}


def pair_folder(stack: Stack, environment: str) -> Path:
    """Where the pair of an environment is, if there is one."""
    return stack.database_dir / PAIRS_FOLDER / environment


def open_pair(stack: Stack, environment: str, programs: Path) -> Pair:
    """The pair of an environment. PermanentError where it has none."""
    folder = pair_folder(stack, environment)
    record = read_record(stack, environment)
    if record is None:
        raise PermanentError(
            f"{environment} has no database pair on this machine.",
            f"`terrarium env apply {environment}` makes it, where its file says database.provider: postgres.",
        )
    return Pair(stack, record, folder, programs, choose_account())


def read_record(stack: Stack, environment: str) -> PairRecord | None:
    """What is written down of a pair; None where there is none."""
    path = pair_folder(stack, environment) / "pair.json"
    return PairRecord.model_validate_json(path.read_text()) if path.exists() else None


def list_records(stack: Stack) -> list[PairRecord]:
    """Every pair of this machine."""
    paths = sorted((stack.database_dir / PAIRS_FOLDER).glob("*/pair.json"))
    return [PairRecord.model_validate_json(path.read_text()) for path in paths]


def write_record(pair: Pair, record: PairRecord) -> Pair:
    """Write down a change; the pair with it."""
    write_owned(pair.folder / "pair.json", record.model_dump_json(indent=2) + "\n", None)
    return Pair(pair.stack, record, pair.folder, pair.programs, pair.account)


def create_files(stack: Stack, record: PairRecord, programs: Path, now: datetime) -> Pair:
    """The pair's folder with its passwords and its certificate, each made where it is not there yet."""
    account = choose_account()
    folder = pair_folder(stack, record.environment)
    spool = folder / "spool"
    for path in (folder.parent, folder, spool, *(parent / node for parent in (spool, folder) for node in NODES)):
        make_folder(path, account)
    pair = write_record(Pair(stack, record, folder, programs, account), record)
    if not _passwords_file(folder).exists():
        drawn = Passwords(roles={role: secrets.token_urlsafe(24) for role in ROLES})
        write_owned(_passwords_file(folder), drawn.model_dump_json(indent=2) + "\n", None)
    if not (folder / "server.key").exists():
        key, certificate = draw_certificate(f"{record.environment} database pair", record.host, now)
        write_owned(pair.certificate, certificate, account)
        write_owned(folder / "server.key", key, account)  # last: with it both are there
    people = [role for role in ROLES if role != SUPERUSER]
    write_owned(pair.passfile, "".join(f"*:*:*:{role}:{pair.password(role)}\n" for role in people), None)
    for node in NODES:
        line = f"*:*:*:replicator:{read_passwords(folder).roles['replicator']}\n"
        write_owned(pair.folder / node / "pgpass", line, account)
    return pair


def remove_files(folder: Path) -> None:
    """Everything of a pair on this machine, its data too; the record goes last, so that an interrupted one goes on."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == "pair.json"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    folder.rmdir()


def read_passwords(folder: Path) -> Passwords:
    """Those of a pair's folder."""
    return Passwords.model_validate_json(_passwords_file(folder).read_text())


def standby_conninfo(pair: Pair, node: Node) -> str:
    """How a server finds the other one: over the link, with a password file, checked by the certificate."""
    parts = {
        "host": pair.record.host,
        "port": pair.record.ports.link_to(other(node)),
        "user": "replicator",
        "passfile": pair.folder / node / "pgpass",
        "application_name": node,
        "sslmode": "verify-full",
        "sslrootcert": pair.certificate,
        "connect_timeout": LINK_SECONDS,
    }
    return " ".join(f"{key}={_quote(str(value))}" for key, value in parts.items())


def _quote(value: str) -> str:
    """As libpq reads a value, without quotes where it needs none."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'" if set(value) & set(" '\\") else value


def _passwords_file(folder: Path) -> Path:
    return folder / "passwords.json"
