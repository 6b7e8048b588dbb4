"""A position of the WAL that a base backup promises, and what the database holds there, as its standby has it.

The standby's replay is held for a moment: what a session sees then is exactly what a recovery up to that position has.
So what a backup is held against comes from a living server, by another way than the base backup and the archive.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

from blocks.postgres.pair_files import Pair
from blocks.postgres.replication import read_state, switch_wal, wait_for_replay
from blocks.postgres.session import Session, connect
from blocks.postgres.snapshot import read_sentinels, write_sentinel
from blocks.scratch.contents import list_tables, measure_tables, read_schema_version
from domain.backup import Manifest
from domain.backup_wal import PHYSICAL
from domain.errors import TemporaryError
from domain.pair import Node, other

REPLAY_SECONDS = 600.0
#: How long a standby may take to follow again: one that was just started needs a few.
FOLLOW_SECONDS = 30.0
FOLLOW_POLL_SECONDS = 0.2
#: The longest that replay is held: the server itself goes on after it, whatever became of us.
HOLD_SECONDS = 0.5
TRIES = 20
POLL_SECONDS = 0.002
HOLD = f"SELECT pg_wal_replay_pause(), pg_sleep({HOLD_SECONDS}), pg_wal_replay_resume()"
STATE = "SELECT pg_get_wal_replay_pause_state()"
POSITION = (
    "SELECT pg_last_wal_replay_lsn()::text, now(), pg_get_wal_replay_pause_state(), current_setting('server_version')"
)
WRITTEN = "SELECT pg_current_wal_insert_lsn()::text, clock_timestamp(), current_setting('server_version')"


def describe_point(pair: Pair, primary: Node, name: str, follow_seconds: float = FOLLOW_SECONDS) -> Manifest:
    """Write a sentinel, promise a position after it, and describe what is there; then end the segment that has it.

    `wal_to` is that segment. Where the standby is fenced or does not answer, nobody can be asked what is at a position:
    then the manifest has sentinels and no tables, and says why. TemporaryError where one answers and does not follow.
    """
    hindrance = wait_for_standby(pair, primary, follow_seconds)
    write_sentinel(pair)
    if hindrance:
        manifest = _describe_sentinels(pair, hindrance)
    else:
        wait_for_replay(pair, primary, REPLAY_SECONDS)
        manifest = _describe_standby(pair, other(primary))
    with connect(pair, at=primary, database="postgres") as session:
        session.execute("SELECT pg_create_restore_point(%s)", (name[:63],))  # a record behind the position
    return manifest.model_copy(update={"wal_to": switch_wal(pair, primary)})


def wait_for_standby(pair: Pair, primary: Node, timeout_seconds: float = FOLLOW_SECONDS) -> str:
    """Empty once the standby follows; else why none could. TemporaryError where one answers and does not."""
    deadline = time.monotonic() + timeout_seconds
    while not (state := read_state(pair)).is_whole:
        standby = state.of(other(primary))
        if standby.is_fenced:
            return f"nobody could be asked what its tables hold: the standby {standby.node} was fenced"
        if time.monotonic() > deadline:
            if not standby.is_running:
                return f"nobody could be asked what its tables hold: the standby {standby.node} did not answer"
            raise TemporaryError(
                f"{pair.environment}: the standby {standby.node} answers and does not follow, after "
                f"{timeout_seconds:.0f} s.",
                f"A base backup is held against it. {pair.stack.state_dir / 'logs' / pair.name(standby.node)}.log says "
                "what it waits for. A dump needs no standby: `terrarium backup take NAME --kind logical`.",
            )
        time.sleep(FOLLOW_POLL_SECONDS)
    return ""


def _describe_standby(pair: Pair, standby: Node) -> Manifest:
    with connect(pair, "backup", at=standby) as session:
        position, at, version = _hold(pair, standby, session)
        tables = measure_tables(session, list_tables(session))
        sentinels = read_sentinels(session)
        schema_version = read_schema_version(session)
        session.execute("ROLLBACK")
    return Manifest(
        tables=tables,
        sentinels=sentinels,
        taken_at=at,
        recovery_point_at=max((one.at for one in sentinels if one.at), default=None),
        wal_position=position,
        schema_version=schema_version,
        server_version=version,
        kind=PHYSICAL,
    )


def _hold(pair: Pair, standby: Node, session: Session) -> tuple[str, datetime, str]:
    """Begin a transaction that sees what is there at a position: that position, the time, the server's version.

    Replay was held before its first look and is still held after it, so nothing came between.
    """
    for _ in range(TRIES):
        with _held(pair, standby):
            session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            position, at, state, version = session.execute(POSITION).fetchone() or ("", datetime.now(UTC), "", "")
            if state == "paused" and session.execute(STATE).fetchone() == ("paused",):
                return position, at.astimezone(UTC), version
            session.execute("ROLLBACK")
    raise TemporaryError(
        f"{pair.environment}: the replay of the standby {standby} could not be held for {HOLD_SECONDS} s.",
        "The machine is too busy, or the roles change: it is tried again.",
    )


@contextmanager
def _held(pair: Pair, standby: Node) -> Iterator[None]:
    """While replay rests; it goes on in the end, by one statement of the server's also where we are killed."""

    def hold() -> None:
        with connect(pair, at=standby, database="postgres") as session:
            session.execute(HOLD)

    with ThreadPoolExecutor(1) as beside, connect(pair, at=standby, database="postgres") as session:
        holding = beside.submit(hold)
        while session.execute(STATE).fetchone() != ("paused",) and not holding.done():
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            session.execute("SELECT pg_wal_replay_resume()")
            holding.result()


def _describe_sentinels(pair: Pair, hindrance: str) -> Manifest:
    with connect(pair, "backup") as session:
        sentinels = read_sentinels(session)
        position, at, version = session.execute(WRITTEN).fetchone() or ("", datetime.now(UTC), "")
    return Manifest(
        sentinels=sentinels,
        taken_at=at.astimezone(UTC),
        recovery_point_at=max((one.at for one in sentinels if one.at), default=None),
        wal_position=position,
        server_version=version,
        kind=PHYSICAL,
        undescribed=hindrance,
    )
