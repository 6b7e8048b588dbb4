"""Database pairs for tests, without the rest of the stack: a supervisor of their own, and real servers under it."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.kept_servers import KEPT_FOLDER, list_kept
from blocks.postgres.account import bring_programs, choose_account, make_folder
from blocks.postgres.pair import create_pair, delete_pair, mark_ready
from blocks.postgres.pair_files import Pair
from blocks.postgres.session import connect
from blocks.postgres_binaries import find_postgres_binaries
from blocks.supervisor import Stack, open_supervisor
from blocks.supervisor_config import render_section
from domain.errors import PermanentError
from domain.pair import Node, PairSpec
from tests.polling import wait_for

SPEC = PairSpec(region="eu-central-1", recovery_region="eu-west-1")
FIRST_PORT = 15600


@dataclass(frozen=True)
class PairWorld:
    """A supervisor and where its pairs are."""

    stack: Stack
    programs: Path

    @classmethod
    def load(cls, stack_json: str, programs: str) -> "PairWorld":
        """The same in another process."""
        return cls(Stack.model_validate_json(stack_json), Path(programs))

    def create(self, environment: str, spec: PairSpec = SPEC, *, is_ready: bool = False, run_id: str = "run-1") -> Pair:
        """A pair, made or brought to its spec."""
        now = datetime.now(UTC)
        pair = create_pair(self.stack, environment, spec, run_id, self.programs, FIRST_PORT, now)
        return mark_ready(pair, "") if is_ready else pair


def write(pair: Pair, text: str, at: Node | None = None) -> None:
    """A row of the application's, through the gateway or at one server."""
    with connect(pair, "app", at) as session:
        session.execute("CREATE TABLE IF NOT EXISTS note (at timestamptz DEFAULT now(), text text)")
        session.execute("INSERT INTO note (text) VALUES (%s)", (text,))


def read_notes(pair: Pair, at: Node | None = None) -> set[str]:
    """What the application wrote, as one server has it."""
    with connect(pair, "app", at) as session:
        return {row[0] for row in session.execute("SELECT text FROM note")}


@contextmanager
def run_pair_world() -> Iterator[PairWorld]:
    """A supervisor in a folder of its own; in the end its pairs are removed and it is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="terrarium-pairs-"))
    folder.chmod(0o711)  # as root, PostgreSQL runs as another user
    account = choose_account()
    database_dir = folder / "postgres"
    make_folder(database_dir, account)
    programs = bring_programs(find_postgres_binaries(), database_dir, account)
    stack = _describe(folder, database_dir)
    (folder / "logs").mkdir()
    try:
        _start(stack)
        yield PairWorld(stack, programs)
    finally:
        for environment in {server.owner for server in list_kept(stack)}:
            delete_pair(stack, environment)
        with open_supervisor(stack.supervisor_socket) as supervisor:
            supervisor.shutdown()
        wait_for("the supervisor is gone", lambda: not (folder / "supervisord.pid").exists())
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def pair_world() -> Iterator[PairWorld]:
    """A supervisor for the pairs of a module's tests."""
    try:
        find_postgres_binaries()
    except PermanentError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    with run_pair_world() as world:
        yield world


def _describe(folder: Path, database_dir: Path) -> Stack:
    return Stack(
        checkout=folder,
        state_dir=folder,
        stack_id="tests",
        supervisor_socket=folder / "supervisor.sock",
        database_dir=database_dir,
        host="127.0.0.1",
        prefect_url="",
        api_url="",
        emulator_url="",
        ports={},
        versions={},
    )


def _start(stack: Stack) -> None:
    folder = stack.state_dir
    user = {"user": "root"} if os.getuid() == 0 else {}
    sections = {
        "supervisord": {"logfile": folder / "supervisord.log", "pidfile": folder / "supervisord.pid", **user},
        "unix_http_server": {"file": stack.supervisor_socket, "chmod": "0700"},
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
        "include": {"files": f"{KEPT_FOLDER}/*.conf"},
    }
    config = folder / "supervisord.conf"
    config.write_text("\n".join(render_section(name, values) for name, values in sections.items()))
    subprocess.run([sys.executable, "-m", "supervisor.supervisord", "-c", config], check=True, capture_output=True)
    wait_for("the supervisor answers", stack.supervisor_socket.exists)
