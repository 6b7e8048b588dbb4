"""A real PostgreSQL for tests, one for each session: a pytest plugin that tests/conftest.py names.

As root its processes run as an unprivileged user, because initdb refuses root.
"""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from blocks.ledger import Ledger, open_ledger
from blocks.ledger.migrate import migrate
from blocks.postgres_binaries import find_postgres_binaries
from domain.errors import PermanentError

APP_ROLE = "terrarium"
TEMPLATE = "ledger_template"


@dataclass(frozen=True)
class PostgresServer:
    """A server on loopback; `port` is its own, `folder` holds its data and log."""

    binaries: Path
    folder: Path
    port: int
    password: str

    def url(self, database: str = "postgres", role: str = "owner") -> str:
        """The URL of a database, for the superuser or for the application's role."""
        return f"postgresql://{role}:{self.password}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement as the superuser."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)

    def create_database(self, template: str = "template1") -> str:
        """A new database with a name of its own."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -c fsync=off"
        self._run("pg_ctl", "-w", "-t", "60", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: `fast`, or `immediate` as in a crash."""
        self._run("pg_ctl", "-w", "-t", "60", "-m", mode, "stop")

    def create(self) -> None:
        """Make the data folder."""
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        shutil.chown(password_file, *_user())
        self._run("initdb", "-U", "owner", "-A", "scram-sha-256", f"--pwfile={password_file}", "-E", "UTF8", "-N")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_as_user(), str(self.binaries / program), "-D", str(self.folder / "data"), *arguments]
        with (self.folder / "output").open("a+") as output:  # a pipe would stay open as long as the server runs
            result = subprocess.run(
                command,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env={"LC_ALL": "C.UTF-8"},
            )
            output.seek(0)
            assert result.returncode == 0, f"{program} failed:\n{output.read()}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running server with the application's role and an empty ledger as a template."""
    try:
        binaries = find_postgres_binaries()
    except PermanentError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    with run_server(binaries) as server:
        yield server


@contextmanager
def run_server(binaries: Path) -> Iterator[PostgresServer]:
    """A server of one's own."""
    folder = Path(tempfile.mkdtemp(prefix="terrarium-postgres-"))
    shutil.chown(folder, *_user())
    server = PostgresServer(binaries, folder, _find_free_port(), secrets.token_hex(16))
    try:
        server.create()
        server.start()
        try:
            _create_template(server)
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def ledger_database(postgres: PostgresServer) -> Iterator[str]:
    """The name of a new database with an empty ledger in it."""
    name = postgres.create_database(TEMPLATE)
    yield name
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def ledger(postgres: PostgresServer, ledger_database: str) -> Iterator[Ledger]:
    """An empty ledger, opened as the application's role."""
    with open_ledger(postgres.url(ledger_database, APP_ROLE)) as ledger:
        yield ledger


def _create_template(server: PostgresServer) -> None:
    server.execute(f"CREATE ROLE {APP_ROLE} LOGIN PASSWORD '{server.password}'")
    server.execute(f"CREATE DATABASE {TEMPLATE}")
    migrate(server.url(TEMPLATE), app_role=APP_ROLE)


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _user() -> tuple[int, int]:
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return entry.pw_uid, entry.pw_gid


def _as_user() -> list[str]:
    if os.geteuid() != 0:
        return []
    uid, gid = _user()
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--"]
