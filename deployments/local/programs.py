"""The servers of the local stack as data, and the supervisor's configuration that is made of them."""

import os
import pwd
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from blocks.kept_servers import KEPT_FOLDER
from blocks.postgres.cluster import ServerFolder
from blocks.settings import CHECKOUT, Settings
from blocks.supervisor_config import render_environment, render_section
from deployments.local.credentials import Credentials
from deployments.local.environment import (
    MARK,
    build_environment,
    build_flow_environment,
    build_prefect_server_environment,
)
from deployments.local.layout import Layout
from deployments.local.revision import read_revision
from deployments.local.vault_files import write_vault_files

WORKER = "worker"
EMULATOR = "emulator"
VAULT = "vault"
# The catalog's WORK_POOL, written again: importing the catalog imports Prefect, which reads its environment then.
WORK_POOL = "terrarium"
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Program:
    """One server: what runs, where, as whom, and how it is stopped."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    port: int
    port_setting: str
    directory: Path = CHECKOUT
    user: str = ""
    stop_signal: str = "TERM"


def list_programs(settings: Settings, credentials: Credentials, database: ServerFolder) -> list[Program]:
    """All servers in the order of their start; they stop in the reverse order."""
    shared = build_environment(settings, credentials, os.environ)
    flows = build_flow_environment(settings, credentials, os.environ)
    return [
        _postgres(settings, database),
        _emulator(settings, shared),
        _prefect(settings, shared | build_prefect_server_environment(settings, credentials)),
        *([_vault(settings, credentials, settings.vault_path)] if settings.vault_path else []),
        _worker(settings, flows),
        _api(settings, flows),
        _watcher(settings, flows),
    ]


def _postgres(settings: Settings, database: ServerFolder) -> Program:
    """Only TCP and only passwords; INT makes PostgreSQL end its sessions instead of waiting for them."""
    options = {"listen_addresses": settings.host, "port": settings.postgres_port, "unix_socket_directories": ""}
    options |= {"max_connections": 200, "log_min_messages": "warning"}
    arguments = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
    return Program(
        name="postgres",
        command=(str(database.programs / "postgres"), "-D", str(database.data), *arguments),
        environment={},
        port=settings.postgres_port,
        port_setting="TERRARIUM_POSTGRES_PORT",
        directory=database.folder,
        user=database.account.name if database.account else "",
        stop_signal="INT",
    )


def _emulator(settings: Settings, environment: Mapping[str, str]) -> Program:
    address = ("--host", settings.host, "--port", str(settings.emulator_port))
    return Program(
        name=EMULATOR,
        command=(sys.executable, "-m", "deployments.local.emulator", *address),
        environment={**environment, **read_revision(EMULATOR)},
        port=settings.emulator_port,
        port_setting="TERRARIUM_EMULATOR_PORT",
    )


def _prefect(settings: Settings, environment: Mapping[str, str]) -> Program:
    address = ("--host", settings.host, "--port", str(settings.prefect_port))
    return Program(
        name="prefect",
        command=(sys.executable, "-m", "deployments.local.prefect_server", *address),
        environment={**environment, **read_revision("prefect")},
        port=settings.prefect_port,
        port_setting="TERRARIUM_PREFECT_PORT",
    )


def _vault(settings: Settings, credentials: Credentials, program: Path) -> Program:
    """It sees nothing of the others' environment: they hold passwords."""
    return Program(
        name=VAULT,
        command=(str(program), "server", f"-config={write_vault_files(settings)}"),
        environment={MARK: credentials.stack_id},
        port=settings.vault_port,
        port_setting="TERRARIUM_VAULT_PORT",
        directory=Layout(settings.state_dir).vault,
    )


def _worker(settings: Settings, environment: Mapping[str, str]) -> Program:
    """Its runs are ended before it (`stop_part`), because it reports how they ended."""
    page = {"PREFECT_WORKER_WEBSERVER_HOST": settings.host, "PREFECT_WORKER_WEBSERVER_PORT": str(settings.worker_port)}
    return Program(
        name=WORKER,
        command=(sys.executable, "-m", "deployments.worker", "--pool", WORK_POOL),
        environment={**environment, **page, **read_revision(WORKER)},
        port=settings.worker_port,
        port_setting="TERRARIUM_WORKER_PORT",
    )


def _api(settings: Settings, environment: Mapping[str, str]) -> Program:
    address = ("--host", settings.host, "--port", str(settings.api_port))
    return Program(
        name="api",
        command=(sys.executable, "-m", "uvicorn", "console.api:create_app", "--factory", "--no-access-log", *address),
        environment={**environment, **read_revision("api")},
        port=settings.api_port,
        port_setting="TERRARIUM_API_PORT",
    )


def _watcher(settings: Settings, environment: Mapping[str, str]) -> Program:
    """The last to start and the first to stop: what `make down` stops is no outage."""
    return Program(
        name="watcher",
        command=(sys.executable, "-m", "deployments.local.watch"),
        environment={**environment, **read_revision("watcher")},
        port=settings.watcher_port,
        port_setting="TERRARIUM_WATCHER_PORT",
    )


def render_supervisor(programs: list[Program], settings: Settings, stack_id: str) -> str:
    """The supervisor's configuration. Nothing starts by itself: `up` starts a part when the one before is healthy."""
    layout = Layout(settings.state_dir)
    daemon = {
        "identifier": stack_id,
        "logfile": layout.logs / "supervisord.log",
        "logfile_maxbytes": f"{settings.log_size_mib}MB",
        "logfile_backups": 1,
        "pidfile": layout.state_dir / "supervisord.pid",
        "umask": "077",
        "directory": CHECKOUT,
    }
    if os.getuid() == 0:
        daemon["user"] = pwd.getpwuid(0).pw_name
    factory = "supervisor.rpcinterface:make_main_rpcinterface"
    sections: dict[str, Mapping[str, object]] = {
        "supervisord": daemon,
        "unix_http_server": {"file": layout.supervisor_socket, "chmod": "0700"},
        "rpcinterface:supervisor": {"supervisor.rpcinterface_factory": factory},
        # What environments keep (blocks/kept_servers.py); relative to this file, because the list is split at spaces.
        "include": {"files": f"{KEPT_FOLDER}/*.conf"},
    }
    for program in programs:
        sections[f"program:{program.name}"] = _render_program(program, layout, settings)
    return "\n".join(render_section(name, values) for name, values in sections.items())


def _render_program(program: Program, layout: Layout, settings: Settings) -> dict[str, object]:
    values: dict[str, object] = {
        "command": shlex.join(program.command),
        "directory": program.directory,
        "autostart": "false",
        "autorestart": "true",
        "startsecs": 1,
        "stopsignal": program.stop_signal,
        "stopwaitsecs": round(STOP_SECONDS),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": layout.logs / f"{program.name}.log",
        "stdout_logfile_maxbytes": f"{settings.log_size_mib}MB",
        "stdout_logfile_backups": 1,
    }
    if program.user:
        values["user"] = program.user
    if program.environment:
        values["environment"] = render_environment(program.environment)
    return values
