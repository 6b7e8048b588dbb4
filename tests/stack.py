"""The local stack for tests, on ports and in a folder of its own: a pytest plugin that tests/conftest.py names."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from blocks.postgres_binaries import find_postgres_binaries
from blocks.settings import CHECKOUT, Settings
from blocks.supervisor import Part, Stack, read_parts, read_stack
from deployments.local.credentials import Credentials
from deployments.local.environment import build_own_environment
from deployments.local.layout import Layout
from domain.errors import PermanentError
from tests.vault_server import provide_openbao

TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class LocalStack:
    """A stack that `up` starts as `make up` does; with `--servers-only` it has no account and no environment."""

    settings: Settings

    def run(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """`python -m deployments.local …` with this stack's settings and some more variables."""
        command = [sys.executable, "-m", "deployments.local", *arguments]
        environment = os.environ | self.variables | variables
        return subprocess.run(
            command, env=environment, cwd=CHECKOUT, text=True, capture_output=True, timeout=TIMEOUT_SECONDS
        )

    def up(self) -> str:
        """Start the servers; what was told."""
        done = self.run("up", "--servers-only")
        assert done.returncode == 0, done.stderr
        return done.stderr

    def down(self) -> str:
        """Stop everything; what was told."""
        done = self.run("down")
        assert done.returncode == 0, done.stderr
        return done.stderr

    @property
    def variables(self) -> dict[str, str]:
        """TERRARIUM_* variables that make another process speak of this stack."""
        settings = self.settings.model_dump(exclude={"ledger_url"}, exclude_none=True)
        return {f"TERRARIUM_{name.upper()}": str(value) for name, value in settings.items()}

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of this stack's flows: Prefect's, the ledger's and our settings."""
        credentials = Credentials.model_validate_json(Layout(self.settings.state_dir).credentials.read_text())
        return build_own_environment(self.settings, credentials, os.environ)

    @property
    def token(self) -> str:
        """The bearer token of this stack's API."""
        return Layout(self.settings.state_dir).token.read_text().strip()

    @property
    def record(self) -> Stack:
        """stack.json."""
        return read_stack(self.settings)

    @property
    def parts(self) -> dict[str, Part]:
        """Every server by name."""
        return {part.name: part for part in read_parts(self.record)}

    def remove(self) -> None:
        """Stop it and delete its folders."""
        try:
            if Layout(self.settings.state_dir).stack.exists():
                database_dir = self.record.database_dir
                self.down()
                shutil.rmtree(database_dir, ignore_errors=True)
        finally:
            shutil.rmtree(self.settings.state_dir.parent)


def create_stack() -> LocalStack:
    """A stack that does not run yet, on free ports. A missing PostgreSQL is a skip, and a failure in CI."""
    try:
        find_postgres_binaries()
    except PermanentError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    folder = Path(tempfile.mkdtemp(prefix="terrarium-stack-"))
    folder.chmod(0o711)  # as root, PostgreSQL runs as another user
    parts = ("postgres", "prefect", "emulator", "worker", "api", "watcher", "vault", "pair")
    ports = dict(zip((f"{part}_port" for part in parts), find_free_ports(len(parts)), strict=True))
    return LocalStack(Settings(state_dir=folder / "state", stop_timeout_seconds=10, heartbeat_seconds=2, **ports))


def find_free_ports(count: int) -> list[int]:
    """Different ports that nothing listens on."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """The servers of a local stack, running, one for all tests of a session; with a Vault, where one can be had."""
    provide_openbao()
    local_stack = create_stack()
    try:
        local_stack.up()
        yield local_stack
    finally:
        local_stack.remove()


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests with the stack run on one worker of pytest-xdist, so that there is one stack."""
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("stack"))
