"""One PostgreSQL server's folder, with real programs: made, started and stopped as a user who is not root."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from blocks.postgres.account import bring_programs, choose_account, make_folder
from blocks.postgres.cluster import ServerFolder, initialise, start_scratch, stop_scratch
from blocks.postgres_binaries import find_postgres_binaries
from domain.errors import PermanentError
from tests.stack import find_free_ports


@pytest.fixture
def server() -> Iterator[ServerFolder]:
    """A folder where the account can reach it; nothing is in it yet."""
    folder = Path(tempfile.mkdtemp(prefix="terrarium-server-"))
    account = choose_account()
    make_folder(folder, account)
    made = ServerFolder(folder, bring_programs(find_postgres_binaries(), folder, account), account)
    yield made
    stop_scratch(made, "immediate")
    shutil.rmtree(folder)


def test_a_scratch_server_runs_as_its_account_and_asks_for_the_password(server: ServerFolder) -> None:
    """Sessions need the password that it was made with; once stopped, nothing answers; the password is in no file."""
    initialise(server, "postgres", "correct horse")
    port = find_free_ports(1)[0]
    start_scratch(server, {"port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": ""})
    with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres password='correct horse'") as connection:
        row = connection.execute("SELECT current_user, current_setting('data_checksums')").fetchone()
        assert row == ("postgres", "on")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"host=127.0.0.1 port={port} user=postgres password=wrong")
    assert server.data.stat().st_uid == (server.account.uid if server.account else os.getuid())
    stop_scratch(server)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"host=127.0.0.1 port={port} user=postgres password='correct horse'")
    assert sorted(path.name for path in server.folder.iterdir()) == ["data", "log"]


def test_a_program_that_fails_says_why_and_where(server: ServerFolder) -> None:
    """The error has the program, the folder and PostgreSQL's own words."""
    initialise(server, "postgres", "x")
    with pytest.raises(PermanentError, match=r"initdb of the PostgreSQL server in .* failed: .*not empty"):
        initialise(server, "postgres", "x")
