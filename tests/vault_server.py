"""A real OpenBao for tests: a pytest plugin that tests/conftest.py names. It is built once into the user's cache."""

import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from blocks.openbao_binary import built_path, find_openbao
from deployments.local.build_openbao import build_openbao
from domain.errors import TerrariumError
from tests.integration.conftest import find_free_port, report_missing
from tests.polling import wait_for


@dataclass(frozen=True)
class VaultServer:
    """A server that keeps everything in memory, with a root token."""

    address: str
    root_token: str


def provide_openbao() -> Path | None:
    """The program, built where it is not there yet; None where it cannot be built here."""
    try:
        return find_openbao(None) or build_openbao(built_path())
    except TerrariumError:
        return None


@pytest.fixture(scope="session")
def openbao() -> Path:
    """The program. Where there is none it is built, which takes minutes; without Go a skip, and a failure in CI."""
    try:
        return find_openbao(None) or build_openbao(built_path())
    except TerrariumError as error:
        report_missing(str(error))


@pytest.fixture(scope="session")
def vault_server(openbao: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultServer]:
    """A server of this session's own, with a KV engine of version 2 at `secret/`."""
    server = VaultServer(f"http://127.0.0.1:{find_free_port()}", secrets.token_urlsafe(16))
    arguments = [f"-dev-root-token-id={server.root_token}", f"-dev-listen-address={server.address[7:]}"]
    folder = tmp_path_factory.mktemp("openbao")
    with (folder / "log").open("wb") as output:
        process = subprocess.Popen(
            [openbao, "server", "-dev", "-dev-no-store-token", *arguments],
            cwd=folder, env={"HOME": str(folder)}, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        wait_for("OpenBao answers", lambda: _is_healthy(server.address))
        yield server
    finally:
        process.terminate()
        process.wait(20)


def _is_healthy(address: str) -> bool:
    try:
        return httpx.get(f"{address}/v1/sys/health", trust_env=False).is_success
    except httpx.HTTPError:
        return False
