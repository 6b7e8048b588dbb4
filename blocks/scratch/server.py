"""A PostgreSQL server to look into a backup: made in a jail, restored into, asked, removed.

Nobody can connect to it as a superuser once it is open, and nobody at all who is not in its jail, but by its socket,
which is in a folder of ours. It archives nothing, it replicates nothing, and it reads none of its source's settings.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import psycopg

from blocks.scratch.jail import Jail
from domain.errors import PermanentError
from domain.row_hash import TEXT_SETTINGS

DATABASE, ROLE, KEEPER = "scratch", "terrarium_scratch", "keeper"
PORT = "5432"
START_SECONDS = 120
POLL_SECONDS = 0.02
#: Nothing here has to survive a crash, and nothing leaves the machine.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_directories": "/scratch/socket",
    "unix_socket_permissions": "0700",
    "archive_mode": "off",
    "archive_command": "",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "checkpoint_timeout": "1d",
    "max_wal_size": "64GB",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    "max_connections": "20",
    "jit": "off",
    "shared_preload_libraries": "",
    "local_preload_libraries": "",
    "session_preload_libraries": "",
    "ssl": "off",
    "primary_conninfo": "",
    "lc_messages": "C",
}
#: Before anything is restored: one role without rights, its database, and what pg_amcheck needs, out of its way.
PREPARE = (
    f"CREATE ROLE {ROLE} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS",
    f"CREATE DATABASE {DATABASE} OWNER {ROLE}",
)
#: For a server that has its data already: a role that may read everything and change nothing.
PREPARE_READER = (
    f"CREATE ROLE {ROLE} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION BYPASSRLS IN ROLE pg_read_all_data",
)
PREPARE_DATABASE = (
    "CREATE SCHEMA terrarium_amcheck",
    "CREATE EXTENSION amcheck WITH SCHEMA terrarium_amcheck",
    f"GRANT USAGE ON SCHEMA terrarium_amcheck TO {ROLE}",
    f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA terrarium_amcheck TO {ROLE}",
)
#: Schemas that are ours or PostgreSQL's, and no part of a backup.
OWN_SCHEMAS = ("terrarium_amcheck",)


GRAVE = re.compile(r"\b(FATAL|PANIC):")
#: What a server says to us when we ask too early: no word on why it ended.
TURNED_AWAY = re.compile(r"FATAL:\s+the database system is ")


class NoServerError(PermanentError):
    """A scratch server that ended before anybody could connect."""


@dataclass(frozen=True)
class ScratchServer:
    """A running server; `socket` is an open descriptor of the folder of its socket, whose path may be 107 long."""

    jail: Jail
    socket: int
    process: "subprocess.Popen[str]"
    database: str = DATABASE

    def stop(self) -> None:
        """Let it end in order, as a fast shutdown."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(START_SECONDS)

    @property
    def host(self) -> str:
        """What libpq connects to, in this process."""
        return f"/proc/self/fd/{self.socket}"

    @property
    def url(self) -> str:
        """For SQLAlchemy, read-only, whatever the dump sets for its role or database."""
        options = "-c default_transaction_read_only=on -c search_path=public"
        return (
            f"postgresql+psycopg://{ROLE}@/{quote(self.database)}?host={self.host}&port={PORT}&options={quote(options)}"
        )

    def connect(self, role: str = ROLE, database: str = "") -> "psycopg.Connection[tuple[object, ...]]":
        """A connection on which each statement stands alone, with the settings that a row's text depends on."""
        settings = {**TEXT_SETTINGS, "search_path": "pg_catalog"}
        options = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in settings.items())
        return psycopg.connect(
            host=self.host,
            port=PORT,
            dbname=database or self.database,
            user=role,
            options=options,
            autocommit=True,
            connect_timeout=10,
        )


@contextmanager
def open_scratch(folder: Path, programs: Path) -> Iterator[ScratchServer]:
    """An empty server in a new folder, with the database to restore into. Its folder is removed in the end."""
    jail = Jail(folder, programs)
    try:
        jail.create()
        _initialize(jail)
        with run_server(jail, lambda server: answers(server, KEEPER, "postgres")) as server:
            _prepare(server)
            yield server
    finally:
        delete_scratch(folder)


def delete_scratch(folder: Path) -> None:
    """Remove what a scratch server left: its processes ended with whoever started it. Gone is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise PermanentError(f"The scratch server's folder {folder} cannot be removed.", "Remove it as root.")


def _initialize(jail: Jail) -> None:
    options = ("--username", KEEPER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
    done = jail.run("initdb", "-D", "/scratch/data", *options, timeout=START_SECONDS)
    if done.returncode:
        raise PermanentError(
            f"initdb of the scratch server failed: {done.stderr.strip() or done.stdout.strip()}.",
            "Mend what it names: room on the disk, the server programs (TERRARIUM_POSTGRES_BIN_DIR).",
        )
    allow(jail, KEEPER)


def allow(jail: Jail, role: str, database: str = "all") -> None:
    """Who may connect, and to what; everybody else is refused."""
    (jail.work / "data" / "pg_hba.conf").write_text(f"local {database} {role} trust\n")


@contextmanager
def run_server(
    jail: Jail,
    is_ready: "Callable[[ScratchServer], bool]",
    database: str = DATABASE,
    more: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[ScratchServer]:
    """The server of a jail's data, from when it is ready to when the context ends: then it is killed.

    NoServerError where it ends before, with the last that it said.
    """
    settings = [word for name, value in {**SETTINGS, **more}.items() for word in ("-c", f"{name}={value}")]
    (jail.work / "socket").mkdir(mode=0o700, exist_ok=True)
    jail.give(jail.work / "socket")
    with ExitStack() as stack:
        log = stack.enter_context((jail.folder / "log").open("wb"))
        process = stack.enter_context(jail.started(log, "postgres", "-D", "/scratch/data", "-p", PORT, *settings))
        socket = os.open(jail.work / "socket", os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, socket)
        server, deadline = ScratchServer(jail, socket, process, database), time.monotonic() + START_SECONDS
        while not is_ready(server):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NoServerError(
                    f"The scratch server did not start: {_read_end(jail.folder / 'log')}.",
                    "Mend what PostgreSQL names: room on the disk, memory, the server programs.",
                )
            time.sleep(POLL_SECONDS)
        yield server


def answers(server: ScratchServer, role: str = ROLE, database: str = "") -> bool:
    """Whether a role can connect."""
    try:
        server.connect(role, database).close()
    except psycopg.OperationalError:
        return False
    return True


def has_recovered(server: ScratchServer) -> bool:
    """Whether a server that recovers is done: from then on it knows that it does not know our role."""
    try:
        server.connect().close()
    except psycopg.OperationalError as error:
        return f'role "{ROLE}" does not exist' in str(error)
    return True


def _prepare(server: ScratchServer) -> None:
    with server.connect(KEEPER, "postgres") as connection:
        for statement in PREPARE:
            connection.execute(statement)
    with server.connect(KEEPER) as connection:
        for statement in PREPARE_DATABASE:
            connection.execute(statement)
        allow(server.jail, ROLE, DATABASE)
        connection.execute("SELECT pg_reload_conf()")
    while answers(server, KEEPER):  # no longer, once it has read who may
        time.sleep(POLL_SECONDS)


def _read_end(log: Path) -> str:
    """The last complaint of a server, else the last that it said."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    grave = [line for line in lines if GRAVE.search(line) and not TURNED_AWAY.search(line)]
    return re.sub(r"^.*?\b(?=[A-Z]+: )", "", [*lines, *grave][-1]).strip() if lines else "it said nothing"
