"""What runs of the local stack: asked of its supervisor over a socket, and of each server itself. Read-only."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from xmlrpc.client import ServerProxy

import httpx
from pydantic import BaseModel, ConfigDict

from blocks.settings import Settings
from domain.errors import PermanentError

PROBE_TIMEOUT_SECONDS = 2.0
HEALTH_PATHS = {"emulator": "/moto-api/", "prefect": "/api/health", "worker": "/health", "api": "/health"}
HEALTH_PATHS |= {"watcher": "/health"}
# 503 while it is sealed; a new one is initialised by `up` only after it answers.
HEALTH_PATHS |= {"vault": "/v1/sys/health?uninitcode=200"}


class Stack(BaseModel):
    """stack.json of the state folder: what `make up` started where. Versions by program, ports by part."""

    model_config = ConfigDict(frozen=True)

    checkout: Path
    state_dir: Path
    stack_id: str
    supervisor_socket: Path
    database_dir: Path
    host: str
    work_pool: str = "terrarium"
    prefect_has_password: bool = False
    prefect_url: str
    api_url: str
    emulator_url: str
    ports: dict[str, int]
    versions: dict[str, str]


class Part(BaseModel):
    """One server. `state` is the supervisor's word (RUNNING, STOPPED, FATAL …), `is_healthy` the server's own."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: str
    pid: int | None
    uptime_seconds: int
    is_healthy: bool


def read_stack(settings: Settings) -> Stack:
    """The stack of this checkout. PermanentError where none was ever started."""
    path = settings.state_dir / "stack.json"
    if not path.exists():
        raise PermanentError(f"There is no local stack in {settings.state_dir}.", "Start it with `make up`.")
    return Stack.model_validate_json(path.read_text())


def read_parts(stack: Stack) -> list[Part]:
    """Every part in the order of its start; all of them STOPPED where the supervisor does not run."""
    try:
        with open_supervisor(stack.supervisor_socket) as supervisor:
            rows = {row["name"]: row for row in supervisor.getAllProcessInfo()}
    except OSError:
        rows = {}
    return [_read_part(stack, name, rows.get(name)) for name in stack.ports]


@contextmanager
def open_supervisor(socket: Path) -> Iterator[Any]:
    """The supervisor's XML-RPC interface. OSError where it does not answer; its refusals are xmlrpc Faults."""
    from supervisor.xmlrpc import SupervisorTransport

    transport = SupervisorTransport(None, None, f"unix://{socket}")
    try:
        yield ServerProxy("http://localhost", transport=transport).supervisor
    except http.client.HTTPException as error:
        raise ConnectionError(f"the supervisor at {socket} broke off: {error}") from error
    finally:
        transport.close()


def is_healthy(stack: Stack, part: str, started_at: float) -> bool:
    """The server, whose process started at `started_at` (epoch seconds), answers as it should.

    The worker's page answers 503 when it stops polling, but 200 before it ever polled: so Prefect is asked as well.
    """
    if part == "postgres":
        return is_postgres_healthy(stack.host, stack.ports[part])
    is_answering = _is_http_healthy(f"http://{stack.host}:{stack.ports[part]}{HEALTH_PATHS[part]}")
    return is_answering and (part != "worker" or _has_polled(stack, started_at))


def is_postgres_healthy(host: str, port: int) -> bool:
    """libpq's PQping: it tells whether sessions are accepted, and needs no password."""
    from psycopg.pq import PGconn, Ping

    # A user that is there: else the server would log each question as a failed login.
    address = f"host={host} port={port} user=postgres dbname=postgres connect_timeout={PROBE_TIMEOUT_SECONDS:.0f}"
    return PGconn.ping(address.encode()) == Ping.OK


def _is_http_healthy(url: str) -> bool:
    """The proxies of the user's environment are for the world outside, not for loopback."""
    try:
        return httpx.get(url, timeout=PROBE_TIMEOUT_SECONDS, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _has_polled(stack: Stack, since: float) -> bool:
    """Prefect saw a poll of the work pool's queue after that time (epoch seconds)."""
    url = f"{stack.prefect_url}/api/work_pools/{stack.work_pool}/queues/default"
    try:
        answer = httpx.get(url, auth=_read_prefect_auth(stack), timeout=PROBE_TIMEOUT_SECONDS, trust_env=False)
        polled_at = answer.raise_for_status().json()["last_polled"]
    except httpx.HTTPError:
        return False
    return polled_at is not None and datetime.fromisoformat(polled_at).timestamp() >= since


def _read_prefect_auth(stack: Stack) -> tuple[str, str] | None:
    if not stack.prefect_has_password:
        return None
    return "terrarium", json.loads((stack.state_dir / "credentials.json").read_text())["prefect_password"]


def _read_part(stack: Stack, name: str, row: dict[str, Any] | None) -> Part:
    if row is None or row["statename"] != "RUNNING":
        return Part(
            name=name, state=row["statename"] if row else "STOPPED", pid=None, uptime_seconds=0, is_healthy=False
        )
    return Part(
        name=name,
        state=row["statename"],
        pid=row["pid"],
        uptime_seconds=row["now"] - row["start"],
        is_healthy=is_healthy(stack, name, row["start"]),
    )
