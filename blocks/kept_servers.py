"""Servers that an environment keeps: handed to the local stack's supervisor, so they outlive the run that made them.

Each is a file in a folder that the supervisor's configuration includes, and a record beside it for who starts, stops
and shows them. None restarts by itself where that says so, and a fenced one is never started.
Invariant: `kill_server` returns only when no process of the server is left.
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from xmlrpc.client import Fault

from pydantic import BaseModel, ConfigDict

from blocks.private_files import write_private
from blocks.process_folders import kill_workers
from blocks.relay import is_relay_healthy
from blocks.supervisor import Part, Stack, is_postgres_healthy, open_supervisor
from blocks.supervisor_config import render_section
from domain.errors import PermanentError, RefusedError, TemporaryError

#: Below the state folder.
KEPT_FOLDER = "servers"
ALREADY_ADDED, NOT_RUNNING, ALREADY_STARTED, BAD_NAME = 90, 70, 60, 10


class KeptServer(BaseModel):
    """One server. They start by `order` and stop in its reverse. `directory` is where its processes work: all of them.

    `probe` says how it is asked whether it is healthy: PostgreSQL on `port`, a relay on its control socket, or, for
    `none`, by the supervisor's word alone. `environment` is all that it knows.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    owner: str
    order: int
    command: tuple[str, ...]
    directory: Path
    environment: dict[str, str] = {}
    user: str = ""
    port: int = 0
    probe: Literal["postgres", "relay", "none"] = "none"
    control: Path | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    restarts: bool = True


def keep_server(stack: Stack, server: KeptServer) -> bool:
    """Hand a server to the supervisor, or let it know what changed of it; it is started by `start_server`.

    Whether anything was new. One that changed is stopped first. Killed at any moment, it is finished by the next call.
    """
    folder = _folder(stack)
    folder.mkdir(mode=0o700, exist_ok=True)
    text = _render(stack, server)
    is_new = not _config(stack, server.name).exists() or _config(stack, server.name).read_text() != text
    write_private(_record(stack, server.name), server.model_dump_json(indent=2) + "\n")
    with _supervisor(stack) as supervisor:
        if is_new:
            _drop(supervisor, server.name)
            write_private(_config(stack, server.name), text)
        supervisor.reloadConfig()
        with suppress_fault(ALREADY_ADDED):
            supervisor.addProcessGroup(server.name)
    return is_new


def start_server(stack: Stack, name: str) -> None:
    """Start it, where it does not run. RefusedError for one that is fenced."""
    if is_fenced(stack, name):
        raise RefusedError(
            f"{name} is fenced: {_fence(stack, name).read_text().strip()}.",
            "It rejoins its pair by a failback; started as it is, it could take writes that would be lost.",
        )
    with _supervisor(stack) as supervisor, suppress_fault(ALREADY_STARTED):
        supervisor.startProcess(name, False)


def stop_server(stack: Stack, name: str) -> None:
    """Stop it in order; the supervisor kills what does not end in time. One that is unknown or stands is stopped."""
    with _supervisor(stack) as supervisor, suppress_fault(NOT_RUNNING, BAD_NAME):
        supervisor.stopProcess(name)
    if _is_postgres(stack, name):  # one that had to be killed leaves children, and could not start beside them
        kill_server(stack, name)


def _is_postgres(stack: Stack, name: str) -> bool:
    """Whether it is one of PostgreSQL's, which work in a folder of their own."""
    path = _record(stack, name)
    return path.exists() and read_kept_server(stack, name).probe == "postgres"


def kill_server(stack: Stack, name: str) -> int:
    """SIGKILL to every process of it, also frozen ones, and the proof that none is left; how many were killed.

    It goes by the folder that they work in, not by a process id or a group: PostgreSQL's backends are groups of their
    own, and outlive a killed postmaster for a moment. PermanentError where one cannot be proved dead.
    """
    server = read_kept_server(stack, name)
    return kill_workers(server.directory, name, Path(server.command[0]).name)


def forget_server(stack: Stack, name: str) -> None:
    """Stop it and take it from the supervisor; its own files stay. Again: nothing."""
    for path in (_config(stack, name), _record(stack, name), _fence(stack, name)):
        path.unlink(missing_ok=True)
    with _supervisor(stack) as supervisor:
        _drop(supervisor, name)
        supervisor.reloadConfig()


def fence_server(stack: Stack, name: str, reason: str) -> None:
    """Never start it until `unfence_server`: not by `make up`, not by a run."""
    write_private(_fence(stack, name), reason + "\n")


def unfence_server(stack: Stack, name: str) -> None:
    """It may start again."""
    _fence(stack, name).unlink(missing_ok=True)


def is_fenced(stack: Stack, name: str) -> bool:
    """Whether it may not start."""
    return _fence(stack, name).exists()


def list_kept(stack: Stack) -> list[KeptServer]:
    """Every server that an environment keeps, in the order of their start."""
    found = [KeptServer.model_validate_json(path.read_text()) for path in _folder(stack).glob("*.json")]
    return sorted(found, key=lambda server: (server.owner, server.order))


def read_kept_server(stack: Stack, name: str) -> KeptServer:
    """One of them. PermanentError where there is none of that name."""
    path = _record(stack, name)
    if not path.exists():
        raise PermanentError(f"The local stack keeps no server {name}.", "`make status` shows those that it keeps.")
    return KeptServer.model_validate_json(path.read_text())


def read_kept_parts(stack: Stack) -> list[Part]:
    """The same with their health, as `make status` shows them; FENCED for one that may not start."""
    kept = list_kept(stack)
    try:
        with open_supervisor(stack.supervisor_socket) as supervisor:
            rows = {row["name"]: row for row in supervisor.getAllProcessInfo()} if kept else {}
    except OSError:
        rows = {}
    return [_read_part(stack, server, rows.get(server.name)) for server in kept]


def is_server_healthy(stack: Stack, server: KeptServer) -> bool:
    """It answers as it should; one without a way to ask counts as healthy while it runs."""
    if server.probe == "postgres":
        return is_postgres_healthy(stack.host, server.port)
    return server.probe != "relay" or (server.control is not None and is_relay_healthy(server.control))


def _read_part(stack: Stack, server: KeptServer, row: dict[str, Any] | None) -> Part:
    state = "FENCED" if is_fenced(stack, server.name) else row["statename"] if row else "STOPPED"
    if row is None or row["statename"] != "RUNNING":
        return Part(name=server.name, state=state, pid=None, uptime_seconds=0, is_healthy=False)
    return Part(
        name=server.name,
        state=state,
        pid=row["pid"],
        uptime_seconds=row["now"] - row["start"],
        is_healthy=is_server_healthy(stack, server),
    )


def _render(stack: Stack, server: KeptServer) -> str:
    """A clean environment: the supervisor's own holds passwords, and the superuser of a database can read its own."""
    environment = {"TERRARIUM_STACK": stack.stack_id, "PATH": "/usr/bin:/bin", "LC_ALL": "C", **server.environment}
    clean = ("/usr/bin/env", "-i", *(f"{key}={value}" for key, value in sorted(environment.items())))
    values: dict[str, object] = {
        "command": shlex.join([*clean, *server.command]),
        "directory": server.directory,
        "autostart": "false",
        "autorestart": str(server.restarts).lower(),
        "startsecs": 1,
        # Else a server that is killed in its first second would be started once more.
        "startretries": 3 if server.restarts else 0,
        "stopsignal": server.stop_signal,
        "stopwaitsecs": server.stop_seconds,
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": stack.state_dir / "logs" / f"{server.name}.log",
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": 1,
    }
    return render_section(f"program:{server.name}", values | ({"user": server.user} if server.user else {}))


def _drop(supervisor: Any, name: str) -> None:
    with suppress_fault(NOT_RUNNING, BAD_NAME):
        supervisor.stopProcess(name)
    with suppress_fault(BAD_NAME):
        supervisor.removeProcessGroup(name)


@contextmanager
def _supervisor(stack: Stack) -> Iterator[Any]:
    try:
        with open_supervisor(stack.supervisor_socket) as supervisor:
            yield supervisor
    except OSError as error:
        raise TemporaryError(
            f"The local stack's supervisor at {stack.supervisor_socket} does not answer: {error}",
            "`make status` shows what runs; `make up` starts it.",
        ) from error


@contextmanager
def suppress_fault(*codes: int) -> Iterator[None]:
    """The supervisor's refusals that say: it is so already."""
    try:
        yield
    except Fault as fault:
        if fault.faultCode not in codes:
            raise


def _folder(stack: Stack) -> Path:
    return stack.state_dir / KEPT_FOLDER


def _config(stack: Stack, name: str) -> Path:
    return _folder(stack) / f"{name}.conf"


def _record(stack: Stack, name: str) -> Path:
    return _folder(stack) / f"{name}.json"


def _fence(stack: Stack, name: str) -> Path:
    return _folder(stack) / f"{name}.fenced"
