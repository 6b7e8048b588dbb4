"""A logical backup and its manifest of one moment: the dump, the counts and the hashes share a snapshot."""

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blocks.postgres.pair_files import Pair
from blocks.postgres.session import Session, connect
from blocks.scratch.contents import list_tables, measure_tables, read_schema_version
from domain.backup import Manifest, Sentinel
from domain.errors import PermanentError
from domain.pair import DATABASE

TIMEOUT_SECONDS = 6 * 3600
#: So many of the newest sentinels a manifest promises.
SENTINELS = 10
TABLE = "probe.sentinel"
MARK = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
    "written_at timestamptz NOT NULL DEFAULT clock_timestamp())",
    f"INSERT INTO {TABLE} DEFAULT VALUES",
)


def take_snapshot(pair: Pair, file: Path, on_start: Callable[[int], None] = lambda pid: None) -> Manifest:
    """Write a sentinel, then dump the database to a file of its user alone, and describe what is in it.

    As the role `backup`, which reads and changes nothing; the manifest lacks the file's sha256.
    """
    write_sentinel(pair)
    with connect(pair, "backup") as session:
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        (snapshot, taken_at, wal_position, version) = session.execute(
            "SELECT pg_export_snapshot(), now(), pg_current_wal_lsn()::text, current_setting('server_version')"
        ).fetchone() or ("", datetime.now(UTC), "", "")
        with _dumping(pair, file, str(snapshot), on_start) as dumping:
            tables = measure_tables(session, list_tables(session))
            sentinels = read_sentinels(session)
            schema_version = read_schema_version(session)
            _finish(pair, dumping)
        session.execute("ROLLBACK")
    return Manifest(
        tables=tables,
        sentinels=sentinels,
        taken_at=taken_at.astimezone(UTC),
        recovery_point_at=max((one.at for one in sentinels if one.at), default=None),
        wal_position=wal_position,
        schema_version=schema_version,
        server_version=version,
        kind="logical",
    )


def write_sentinel(pair: Pair) -> None:
    """A row that a backup taken from now on has to have."""
    with connect(pair, "probe") as session:
        for statement in MARK:
            session.execute(statement)


def _dumping(pair: Pair, file: Path, snapshot: str, on_start: Callable[[int], None]) -> "subprocess.Popen[str]":
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    command = [
        str(pair.programs / "pg_dump"),
        "--format=custom",
        "--compress=1",
        f"--snapshot={snapshot}",
        f"--file={file}",
    ]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", **pair.variables("backup")}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    on_start(process.pid)
    return process


def _finish(pair: Pair, dumping: "subprocess.Popen[str]") -> None:
    try:
        _, told = dumping.communicate(timeout=TIMEOUT_SECONDS)
    except BaseException:
        dumping.kill()
        raise
    if dumping.returncode:
        words = (told.strip().splitlines() or ["no reason given"])[0]
        raise PermanentError(
            f"{pair.environment}: pg_dump of database {DATABASE} failed: {words}",
            "Mend what PostgreSQL names; nothing was kept.",
        )


def read_sentinels(session: Session) -> tuple[Sentinel, ...]:
    """The newest sentinels that a session sees, oldest first."""
    rows: list[tuple[Any, ...]] = session.execute(
        f"SELECT id, written_at FROM {TABLE} ORDER BY id DESC LIMIT {SENTINELS}"  # noqa: S608 - our own names
    ).fetchall()
    return tuple(Sentinel(table=TABLE, row={"id": mark}, at=at.astimezone(UTC)) for mark, at in reversed(rows))
