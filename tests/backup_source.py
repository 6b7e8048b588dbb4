"""A small TravelBlog to back up: related tables from a seeded generator, and what its team holds a backup against."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from blocks.scratch.contents import list_tables, measure_tables, read_schema_version
from domain.backup import Manifest, Sentinel
from tests.postgres_server import PostgresServer

TENANTS = 8
#: A third of the rows are bookings, a third posts; sizes are by the number of all rows.
SCHEMA = """
CREATE TABLE site (name text PRIMARY KEY);
CREATE TABLE tenant (id int PRIMARY KEY, name text NOT NULL, bookings int NOT NULL);
CREATE TABLE author (id int PRIMARY KEY, tenant_id int NOT NULL REFERENCES tenant, name text NOT NULL,
    email text NOT NULL UNIQUE);
CREATE TABLE post (id int PRIMARY KEY, author_id int NOT NULL REFERENCES author, title text NOT NULL,
    body text NOT NULL, written_at timestamptz NOT NULL);
CREATE TABLE booking (id int PRIMARY KEY, tenant_id int NOT NULL REFERENCES tenant, place text NOT NULL,
    amount_cents int NOT NULL, booked_at timestamptz NOT NULL);
CREATE INDEX booking_tenant ON booking (tenant_id);
CREATE TABLE sentinel (id int PRIMARY KEY, written_at timestamptz NOT NULL);
"""
FILL = """
INSERT INTO site VALUES ('travelblog');
INSERT INTO tenant SELECT n, 'Reisebüro ' || n, 0 FROM generate_series(1, {tenants}) n;
INSERT INTO author SELECT n, 1 + n %% {tenants}, 'Zoë Müller ' || n, 'author' || n || '@travelblog.example'
    FROM generate_series(1, {authors}) n;
INSERT INTO post SELECT n, 1 + (n * 7919::bigint) %% {authors}, 'Über Málaga ' || n, md5('post' || n || '{seed}'),
    %(now)s - n * interval '1 second' FROM generate_series(1, {posts}) n;
INSERT INTO booking SELECT n, 1 + (n * 104729::bigint) %% {tenants}, 'Grüner Platz ' || n %% 97,
    1000 + (n * 31) %% 90000, %(now)s - n * interval '1 second' FROM generate_series(1, {bookings}) n;
UPDATE tenant t SET bookings = (SELECT count(*) FROM booking b WHERE b.tenant_id = t.id);
INSERT INTO sentinel SELECT n, %(now)s - (10 - n) * interval '1 minute' FROM generate_series(1, 10) n;
"""
INVARIANTS = {
    "a tenant has as many bookings as it was told": "SELECT t.id FROM tenant t WHERE t.bookings <> "
    "(SELECT count(*) FROM booking b WHERE b.tenant_id = t.id)",
    "no booking costs less than ten euros": "SELECT id FROM booking WHERE amount_cents < 1000",
}


def _expect(kind: str, **arguments: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": arguments}


def write_suites(now: datetime) -> dict[str, Any]:
    """What the team expects of its tables, in Great Expectations' own JSON."""
    fresh = (now - timedelta(hours=1)).isoformat()
    orphans = "SELECT p.id FROM {batch} p LEFT JOIN author a ON a.id = p.author_id WHERE a.id IS NULL"
    damaged = "[\u00c2\u00c3][\u0080-\u00bf]"
    return {
        "site": {"name": "site", "expectations": [_expect("expect_column_values_to_be_in_set", column="name",
                                                          value_set=["travelblog"])]},
        "author": {"name": "author", "expectations": [
            _expect("expect_table_row_count_to_be_between", min_value=1),
            _expect("expect_column_values_to_be_unique", column="email"),
            _expect("expect_column_values_to_not_match_regex", column="name", regex=damaged),
        ]},
        "post": {"name": "post", "expectations": [
            _expect("expect_table_row_count_to_be_between", min_value=1),
            _expect("expect_column_values_to_not_be_null", column="title"),
            _expect("expect_column_max_to_be_between", column="written_at", min_value=fresh),
            _expect("unexpected_rows_expectation", unexpected_rows_query=orphans),
        ]},
        "booking": {"name": "booking", "expectations": [
            _expect("expect_table_row_count_to_be_between", min_value=1),
            _expect("expect_column_values_to_be_between", column="amount_cents", min_value=1, max_value=1000000),
        ]},
    }  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A database with the example in it; `now` is the time of its newest rows."""

    server: PostgresServer
    database: str
    now: datetime

    def execute(self, statement: str) -> None:
        """As its owner."""
        self.server.execute(statement, self.database)

    def copy(self) -> "Source":
        """Another database with the same content, to be damaged."""
        return Source(self.server, self.server.create_database(self.database), self.now)

    def drop(self) -> None:
        """Remove it."""
        self.server.execute(f"DROP DATABASE {self.database} WITH (FORCE)")

    def dump(self, target: Path, kind: str = "custom", *options: str) -> Path:
        """`pg_dump` as a user would type it."""
        formats = ("--jobs=2",) if kind == "directory" else ()
        command = [self.server.binaries / "pg_dump", f"--format={kind}", *formats, *options, f"--file={target}"]
        if kind in ("custom", "directory"):
            command.append("--compress=1")
        done = subprocess.run([*command, self.server.url(self.database)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return target

    def describe(self, sha256: str | None = None) -> Manifest:
        """The manifest of a backup of its content."""
        with psycopg.connect(self.server.url(self.database), autocommit=True) as connection:
            tables = measure_tables(connection, list_tables(connection))
            version = read_schema_version(connection)
            marks = connection.execute("SELECT id, written_at FROM public.sentinel ORDER BY id").fetchall()
        sentinels = [Sentinel(table="sentinel", row={"id": mark}, at=at.astimezone(UTC)) for mark, at in marks]
        return Manifest(sha256=sha256, tables=tables, sentinels=tuple(sentinels), schema_version=version)


def create_source(server: PostgresServer, rows: int, seed: str = "1", now: datetime | None = None) -> Source:
    """A new database with about so many rows."""
    source = Source(server, server.create_database(), (now or datetime.now(UTC)).replace(microsecond=0))
    posts, bookings = rows // 3, rows // 2
    authors = max(TENANTS, rows - posts - bookings)
    statements = FILL.format(tenants=TENANTS, authors=authors, posts=posts, bookings=bookings, seed=seed)
    with psycopg.connect(server.url(source.database), autocommit=True) as connection:
        connection.execute(SCHEMA)
        for statement in _split(statements):
            connection.execute(statement, {"now": source.now})
    return source


def _split(statements: str) -> Sequence[str]:
    return [one for one in statements.split(";\n") if one.strip()]


def write_json(path: Path, content: Any) -> Path:
    """A file to hand to the command line."""
    path.write_text(
        content.model_dump_json(exclude_none=True) if isinstance(content, Manifest) else json.dumps(content)
    )
    return path
