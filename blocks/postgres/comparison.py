"""Whether two servers hold the same rows: counts and hashes of every table, and where they differ, how many rows do.

Somebody may write meanwhile: a row that is on one side only counts where it still is at every later look, each after
the standby has applied what the primary had written by then.
"""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, sql

from domain.errors import TemporaryError

TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1, 2"""
#: 64 bits of each row's text, added up: the order of the rows does not matter.
SUM = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM {table} t"
ROWS = "SELECT md5(t::text), count(*) FROM {table} t GROUP BY 1"
LOOKS = 4
POLL_SECONDS = 0.02

Table = tuple[str, str]
Session = Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Comparison:
    """How many rows were compared, and how many of them are on one side only or other than on the other."""

    tables: int
    rows: int
    diverged: int


def compare(primary: Session, standby: Session, timeout_seconds: float, settle_seconds: float = 1.0) -> Comparison:
    """The two sides of a pair. TemporaryError where the standby does not catch up within the time.

    `settle_seconds` lie between two looks, longer than a commit takes: one that waits for the standby is seen there
    before its own server shows it.
    """
    wait_for_replay(standby, read_position(primary), timeout_seconds)
    tables = sorted({*_list_tables(primary), *_list_tables(standby)})
    sums = [(table, _sum(primary, table), _sum(standby, table)) for table in tables]
    suspects = [table for table, a, b in sums if a != b]
    diverged = sum(_count_lasting(primary, standby, table, timeout_seconds, settle_seconds) for table in suspects)
    return Comparison(tables=len(tables), rows=sum(max(a[0], b[0]) for _, a, b in sums), diverged=diverged)


def _count_lasting(
    primary: Session, standby: Session, table: Table, timeout_seconds: float, settle_seconds: float
) -> int:
    """Rows that differ at every look. A row that was changed counts once, though either side has one of its own."""
    missing: Counter[str] | None = None
    surplus: Counter[str] | None = None
    for _ in range(LOOKS):
        wait_for_replay(standby, read_position(primary), timeout_seconds)
        left, right = (_read_rows(session, table) for session in (primary, standby))
        missing = left - right if missing is None else missing & (left - right)
        surplus = right - left if surplus is None else surplus & (right - left)
        if not missing and not surplus:
            return 0
        time.sleep(settle_seconds)
    return max((found or Counter()).total() for found in (missing, surplus))


def read_position(primary: Session) -> str:
    """Up to where the primary has written its WAL."""
    return str(_fetch(primary, "SELECT pg_current_wal_lsn()")[0])


def wait_for_replay(standby: Session, position: str, timeout_seconds: float) -> None:
    """Wait until the standby has applied the WAL up to a position; TemporaryError where it does not in time.

    A server that recovers from nobody has nothing to wait for.
    """
    deadline = time.monotonic() + timeout_seconds
    while not _fetch(standby, "SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= %s::pg_lsn", position)[0]:
        if time.monotonic() > deadline:
            raise TemporaryError(
                f"The standby has not applied the WAL up to {position} within {timeout_seconds:.0f} s.",
                "Its log says whether it streams; what is compared now would differ for that reason alone.",
            )
        time.sleep(POLL_SECONDS)


def _list_tables(session: Session) -> list[Table]:
    return [(str(schema), str(name)) for schema, name in session.execute(TABLES)]


def _sum(session: Session, table: Table) -> tuple[int, int]:
    if table not in _list_tables(session):
        return 0, 0
    count, total = _fetch(session, sql.SQL(SUM).format(table=sql.Identifier(*table)))
    return int(count), int(total)


def _read_rows(session: Session, table: Table) -> "Counter[str]":
    if table not in _list_tables(session):
        return Counter()
    rows = session.execute(sql.SQL(ROWS).format(table=sql.Identifier(*table)))
    return Counter({str(digest): int(count) for digest, count in rows})


def _fetch(session: Session, statement: Any, *values: object) -> tuple[Any, ...]:
    row = session.execute(statement, values or None).fetchone()
    assert row is not None, "an aggregate has one row"
    return row
