"""`up` and `down` of the local stack, for real: first start, again, after a crash, with a taken port, and the end."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from hvac import Client
from psutil import NoSuchProcess

from blocks.kept_servers import fence_server, read_kept_parts, unfence_server
from blocks.postgres.account import choose_account, find_reachable
from blocks.postgres.pair import create_pair
from blocks.postgres.pair_files import Pair
from blocks.postgres.replication import read_node, read_state
from blocks.postgres.session import connect
from blocks.postgres_binaries import find_postgres_binaries
from deployments.local.processes import find_processes, wait_for_end
from deployments.local.vault import EXAMPLES, MOUNT, read_root_token
from tests.pair_world import SPEC
from tests.polling import wait_for
from tests.stack import LocalStack, create_stack

DECOYS = {
    "AWS_PROFILE": "decoy",
    "AWS_ACCESS_KEY_ID": "decoy",
    "PREFECT_API_URL": "http://decoy/api",
    "HTTP_PROXY": "decoy",
}

pytestmark = pytest.mark.xdist_group("own_stack")


@pytest.fixture(scope="module")
def own_stack(openbao: Path) -> Iterator[LocalStack]:
    """A stack that these tests may break, started by a user whose environment has other ideas."""
    assert openbao
    local_stack = create_stack()
    try:
        done = local_stack.run("up", "--servers-only", **DECOYS)
        assert done.returncode == 0, done.stderr
        yield local_stack
    finally:
        local_stack.remove()


def read_pids(stack: LocalStack) -> dict[str, int | None]:
    """The process of every server that is healthy."""
    return {name: part.pid for name, part in stack.parts.items() if part.is_healthy}


def test_every_server_is_healthy(own_stack: LocalStack) -> None:
    """`up` returns when all servers answer."""
    assert list(read_pids(own_stack)) == ["postgres", "emulator", "prefect", "vault", "worker", "api", "watcher"]


def test_the_users_variables_reach_no_server(own_stack: LocalStack) -> None:
    """Read from the running processes themselves, but for those of runs that end meanwhile."""
    environments = []
    for process in find_processes(own_stack.record.stack_id):
        with suppress(NoSuchProcess):
            if process.name() != "postgres":
                environments.append(process.environ())
    assert len(environments) >= 5
    assert [name for environment in environments for name, value in environment.items() if "decoy" in value] == []


def test_files_with_secrets_are_their_users_alone(own_stack: LocalStack) -> None:
    """Passwords, the token and the supervisor's configuration have mode 0600."""
    private = ("credentials.json", "token", "supervisord.conf")
    for name in (*private, "vault/root.json", "vault/seal-key", "vault/secret-id", "vault/config.json"):
        assert (own_stack.settings.state_dir / name).stat().st_mode & 0o777 == 0o600, name


def test_up_again_changes_nothing(own_stack: LocalStack) -> None:
    """The same processes run as before, and no deployment is registered again."""
    before = read_pids(own_stack)
    told = own_stack.up()
    assert read_pids(own_stack) == before
    assert "started" not in told
    assert "registered" not in told


def test_a_killed_supervisor_is_replaced(own_stack: LocalStack) -> None:
    """After a crash the servers that it left behind are ended, and each runs once again."""
    left = find_processes(own_stack.record.stack_id)
    supervisor = next(process for process in left if "supervisor.supervisord" in process.cmdline())
    os.kill(supervisor.pid, signal.SIGKILL)
    own_stack.up()
    assert wait_for_end(left, 1) == []
    assert len(read_pids(own_stack)) == 7


def test_the_local_vault_comes_back_by_itself(own_stack: LocalStack) -> None:
    """Killed, it is started by the supervisor and unseals itself: healthy is unsealed. What was in it still is."""
    killed = read_pids(own_stack)["vault"]
    assert killed
    os.kill(killed, signal.SIGKILL)
    wait_for("the Vault is back", lambda: read_pids(own_stack).get("vault") not in (None, killed))
    settings = own_stack.settings
    client = Client(url=settings.vault_url, token=read_root_token(settings), cert=())
    for path in EXAMPLES:
        found = client.secrets.kv.v2.read_secret_version(path, mount_point=MOUNT, raise_on_deleted_version=True)
        assert len(found["data"]["data"]["value"]) > 20


def test_a_taken_port_is_named_with_its_holder_and_the_way_out(own_stack: LocalStack) -> None:
    """Another checkout's `make up` tells who has the port, and which setting chooses another."""
    other = create_stack()
    try:
        with socket.create_server(("127.0.0.1", other.settings.emulator_port)):
            done = other.run("up", "--servers-only")
        assert done.returncode == 1
        assert f"Port {other.settings.emulator_port}" in done.stderr
        assert f"process {os.getpid()}" in done.stderr
        assert "TERRARIUM_EMULATOR_PORT=" in done.stderr
        assert find_processes(other.record.stack_id) == []
    finally:
        other.remove()


def test_without_openbao_the_rest_runs(own_stack: LocalStack, tmp_path: Path) -> None:
    """`up` says what is missing and how to have it, and Prefect knows no Vault that nobody could ask."""
    path = ":".join(folder for folder in os.environ["PATH"].split(":") if not Path(folder, "bao").exists())
    done = own_stack.run("up", "--servers-only", XDG_CACHE_HOME=str(tmp_path), PATH=path)
    assert done.returncode == 0, done.stderr
    assert "deployments.local.build_openbao" in done.stderr
    assert list(read_pids(own_stack)) == ["postgres", "emulator", "prefect", "worker", "api", "watcher"]
    wanted = {"block_types": {"slug": {"any_": ["terrarium-vault"]}}}
    url = f"{own_stack.settings.prefect_api_url}/block_documents/filter"
    assert httpx.post(url, json=wanted, trust_env=False).raise_for_status().json() == []


@pytest.fixture(scope="module")
def kept_pair(own_stack: LocalStack) -> Pair:
    """A database pair that the stack keeps."""
    stack, first = own_stack.record, own_stack.settings.pair_port
    programs = find_reachable(find_postgres_binaries(), stack.database_dir, choose_account())
    pair = create_pair(stack, "kept", SPEC, "run-1", programs, first, datetime.now(UTC))
    with connect(pair, "app") as session:
        session.execute("CREATE TABLE note AS SELECT 'still here' AS text")
    return pair


def test_up_leaves_a_running_pair_alone(own_stack: LocalStack, kept_pair: Pair) -> None:
    """The same processes, and `make status` shows them after the stack's own, with their ports."""
    wait_for("all of it runs", lambda: all(part.is_healthy for part in read_kept_parts(own_stack.record)))
    before = read_kept_parts(own_stack.record)
    own_stack.up()
    assert [part.pid for part in read_kept_parts(own_stack.record)] == [part.pid for part in before]
    command = [Path(sys.executable).with_name("terrarium"), "status", "--json"]
    environment = os.environ | own_stack.variables
    done = subprocess.run(command, env=environment, text=True, capture_output=True)
    ports = {part["name"]: part["port"] for part in json.loads(done.stdout)["parts"]}
    assert ports["kept-gateway"] == kept_pair.record.ports.gateway
    assert list(ports)[-4:] == ["kept-link", "kept-gateway", "kept-a", "kept-b"]


def test_down_leaves_no_process(own_stack: LocalStack, kept_pair: Pair) -> None:
    """Whatever a server started, in a session of its own or not, ends with the stack; a second `down` is content.

    So do the servers of an environment, the standby first.
    """
    assert kept_pair
    family = find_processes(own_stack.record.stack_id)
    assert len(family) > 5
    told = own_stack.down()
    assert told.index("kept-b stopped") < told.index("kept-a stopped") < told.index("kept-link stopped")
    assert told.index("kept-link stopped") < told.index("emulator stopped") < told.index("postgres stopped")
    assert wait_for_end(family, 1) == []
    assert find_processes(own_stack.record.stack_id) == []
    assert {part.state for part in own_stack.parts.values()} == {"STOPPED"}
    own_stack.down()


def test_up_brings_a_pair_back_with_its_data_but_for_a_fenced_server(own_stack: LocalStack, kept_pair: Pair) -> None:
    """What environments keep starts with the stack; who was fenced waits for the failback, and is told."""
    fence_server(own_stack.record, "kept-b", "a test")
    told = own_stack.up()
    assert "kept-b is fenced" in told
    assert {part.name: part.state for part in read_kept_parts(own_stack.record)}["kept-b"] == "FENCED"
    with connect(kept_pair, "app") as session:
        assert session.execute("SELECT text FROM note").fetchall() == [("still here",)]
    assert not read_node(kept_pair, "b").is_running
    unfence_server(own_stack.record, "kept-b")
    assert "kept-b started" in own_stack.up()
    wait_for("the pair is whole", lambda: read_state(kept_pair).is_whole)
    own_stack.down()
