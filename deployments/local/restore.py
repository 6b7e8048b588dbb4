"""Restore of the control plane: both databases beside the ones that are there, checked, and only then in their place.

What was there before stays as `NAME_replaced` until the next restore. Interrupted, it changed nothing,
unless in the last second, while databases are renamed.
"""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blocks.ledger import open_ledger
from blocks.ledger.migrate import migrate
from blocks.postgres.dump import restore_database
from blocks.settings import Settings
from deployments.local.backup import digest_file, list_urls, read_fingerprint
from deployments.local.blueprint import Blueprint, draw_blueprint
from deployments.local.ports import check_port
from deployments.local.postgres import create_cluster, execute_statements
from deployments.local.processes import find_processes
from domain.control_plane import DUMPS, MANIFEST, Manifest, refuse_damaged
from domain.errors import PermanentError, RefusedError
from domain.evidence import Anchor

START_SECONDS = 60
STOP_SECONDS = 60


def restore_backup(settings: Settings, folder: Path, *, may_overwrite: bool) -> dict[str, Any]:
    """Put a backup in the place of both databases; what the restored ledger ends with.

    RefusedError where the stack runs, the backup is damaged or of another encryption key, or there is something to
    overwrite and nobody allowed it. PermanentError where the restored chain is broken.
    """
    manifest = read_backup(folder)
    blueprint = draw_blueprint(settings)
    _refuse_running(blueprint)
    if blueprint.database.data.exists() and not may_overwrite:
        raise RefusedError(
            f"There are databases in {blueprint.database.data}, which the restore would replace.",
            "Give --yes to replace them; they stay beside the restored ones until the next restore.",
        )
    if manifest.encryption_key != read_fingerprint(blueprint.credentials):
        raise RefusedError(
            f"The backup in {folder} was taken with another encryption key than the one in {settings.state_dir}.",
            "Put the credentials.json of the stack that it is of into the state folder first.",
        )
    create_cluster(blueprint.database, blueprint.credentials)
    execute_statements(blueprint.database, blueprint.database.data.name, _list_new_databases())
    with serve(blueprint):
        events = _fill(blueprint, folder, manifest)
    execute_statements(blueprint.database, blueprint.database.data.name, _list_renames())
    return {"location": str(folder), "head_seq": events, "head_hash": manifest.head_hash, "files": manifest.files}


def read_backup(folder: Path) -> Manifest:
    """The manifest of a folder whose files are those that were written. PermanentError, RefusedError elsewhere."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise PermanentError(
            f"{folder} is no backup of a control plane: its {MANIFEST} cannot be read.",
            "Name the folder that `terrarium backup control-plane` wrote.",
        ) from error
    found = {file: digest_file(folder / file) if (folder / file).is_file() else None for file in DUMPS.values()}
    refuse_damaged(manifest, found, str(folder))
    return manifest


def _refuse_running(blueprint: Blueprint) -> None:
    if find_processes(blueprint.stack.stack_id):
        raise RefusedError(
            f"The stack of {blueprint.settings.state_dir} runs: its databases cannot be replaced.",
            "Run `make down` first.",
        )


def _list_new_databases() -> list[str]:
    """Empty ones beside those that are there; what an interrupted restore left is dropped."""
    return [
        "DROP DATABASE IF EXISTS prefect_restored WITH (FORCE)",
        "DROP DATABASE IF EXISTS terrarium_restored WITH (FORCE)",
        "CREATE DATABASE prefect_restored OWNER prefect",
        "CREATE DATABASE terrarium_restored OWNER terrarium_owner",
        "REVOKE CONNECT ON DATABASE prefect_restored, terrarium_restored FROM PUBLIC",
        "GRANT CONNECT ON DATABASE terrarium_restored TO terrarium_app",
    ]


def _list_renames() -> list[str]:
    return [
        statement
        for name in DUMPS
        for statement in (
            f"DROP DATABASE IF EXISTS {name}_replaced WITH (FORCE)",
            f"ALTER DATABASE {name} RENAME TO {name}_replaced",
            f"ALTER DATABASE {name}_restored RENAME TO {name}",
        )
    ]


def _fill(blueprint: Blueprint, folder: Path, manifest: Manifest) -> int:
    """Both dumps into the new databases, the ledger brought up to date and its chain checked; its last number."""
    urls = list_urls(blueprint.settings, blueprint.credentials, "_restored")
    for name, file in DUMPS.items():
        restore_database(blueprint.database.programs, urls[name], folder / file)
    migrate(urls["terrarium"], "terrarium_app")
    head = Anchor(seq=manifest.head_seq, hash=manifest.head_hash, location=str(folder / MANIFEST))
    with open_ledger(urls["terrarium"]) as ledger:
        verdict = ledger.judge([head] if head.seq else [])
    if verdict.found:
        raise PermanentError(
            f"The ledger of the backup in {folder} is broken: record {verdict.found.seq} was {verdict.found.fault}, "
            f"{verdict.found.detail}.",
            "Restore another backup; nothing was replaced.",
        )
    return verdict.events


@contextmanager
def serve(blueprint: Blueprint) -> Iterator[None]:
    """The private PostgreSQL, as `make up` starts it, for the time of the restore."""
    program = next(one for one in blueprint.programs if one.name == "postgres")
    check_port(blueprint.settings.host, program.port, program.name, program.port_setting)
    account = blueprint.database.account
    with (blueprint.layout.logs / "restore.log").open("w") as log:
        process = subprocess.Popen(
            program.command,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            cwd=program.directory,
            stdout=log,
            stderr=log,
            **(account.subprocess_options() if account else {}),
        )
        try:
            _wait_for_sessions(blueprint, process)
            yield
        finally:
            process.send_signal(signal.SIGINT)  # its sessions are ended, and everything is on disk
            process.wait(STOP_SECONDS)


def _wait_for_sessions(blueprint: Blueprint, process: "subprocess.Popen[bytes]") -> None:
    from psycopg.pq import PGconn, Ping

    address = f"host={blueprint.settings.host} port={blueprint.settings.postgres_port} connect_timeout=2".encode()
    deadline = time.monotonic() + START_SECONDS
    while PGconn.ping(address) != Ping.OK:
        if process.poll() is not None or time.monotonic() > deadline:
            raise PermanentError(
                f"PostgreSQL of {blueprint.database.folder} did not start for the restore.",
                f"Read {blueprint.layout.logs / 'restore.log'}; nothing was replaced.",
            )
        time.sleep(0.1)
