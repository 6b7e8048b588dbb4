"""`make up` of a newer version: every earlier ledger, with data in it, is dumped, migrated and still whole."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text

from blocks.ledger import open_ledger
from blocks.ledger.database import create_ledger_engine
from blocks.ledger.migrate import _configure, current_revision
from blocks.ledger.schema import REVISION
from blocks.postgres.dump import dump_database, restore_database
from deployments.local.upgrade import upgrade_ledger
from domain.errors import PermanentError
from domain.status import EnvironmentStatus
from tests.postgres_server import APP_ROLE, PostgresServer

STORED = Path(__file__).parent / "ledgers"
MIGRATIONS = Path(__file__).parents[2] / "blocks" / "ledger" / "migrations"
EARLIER = [one.revision for one in ScriptDirectory(str(MIGRATIONS)).walk_revisions() if one.revision != REVISION]


@pytest.fixture
def empty_database(postgres: PostgresServer) -> Iterator[str]:
    """The name of a database without a ledger."""
    name = postgres.create_database()
    yield name
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


def make_earlier(url: str, revision: str) -> None:
    """A ledger as the code of an earlier revision left it: its tables, and rows that it wrote."""
    engine = create_ledger_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA ledger"))
        command.upgrade(_configure(connection), revision)
    engine.dispose()
    with psycopg.connect(url) as rows:
        rows.execute((STORED / f"r{revision}.sql").read_bytes())


def upgrade(postgres: PostgresServer, database: str, folder: Path, kept: int = 5) -> tuple[Path | None, list[str]]:
    """The dump from before, and what was told."""
    told: list[str] = []
    url = postgres.url(database)
    return upgrade_ledger(url, APP_ROLE, postgres.binaries, folder, kept, told.append), told


def test_every_earlier_revision_has_rows_that_it_wrote() -> None:
    """Who adds a revision stores a ledger of the one before: `python -m tests.write_ledger`."""
    assert "0001" in EARLIER
    assert [revision for revision in EARLIER if not (STORED / f"r{revision}.sql").exists()] == []


@pytest.mark.parametrize("revision", EARLIER)
def test_a_ledger_with_data_is_migrated(
    postgres: PostgresServer, empty_database: str, tmp_path: Path, revision: str
) -> None:
    """Its chain is whole, its records are read and added to, and a second time nothing happens."""
    make_earlier(postgres.url(empty_database), revision)
    dump, told = upgrade(postgres, empty_database, tmp_path / "upgrades")
    events = len(re.findall(r"INTO ledger\.event ", (STORED / f"r{revision}.sql").read_text()))
    assert re.search(rf"to {REVISION}, {events} events are whole", told[0])
    assert current_revision(postgres.url(empty_database)) == REVISION
    with open_ledger(postgres.url(empty_database, APP_ROLE)) as ledger:
        assert ledger.verify_chain() is None
        assert ledger.read_environment("dev") is not None
        assert {row.status for row in ledger.list_environments()} >= {EnvironmentStatus.LOST}
        version = ledger.add_spec("dev", '{"class":"dev"}', "", "ada")
        assert version > 1
        assert ledger.verify_chain() is None
    assert upgrade(postgres, empty_database, tmp_path / "upgrades") == (None, [])
    assert dump is not None
    assert dump.stat().st_mode & 0o777 == 0o600


def test_the_dump_is_the_ledger_from_before(postgres: PostgresServer, empty_database: str, tmp_path: Path) -> None:
    """It is restored into another database, with the earlier schema, and is whole after the same upgrade."""
    make_earlier(postgres.url(empty_database), "0001")
    dump, _ = upgrade(postgres, empty_database, tmp_path / "upgrades")
    assert dump is not None
    other = postgres.create_database()
    try:
        restore_database(postgres.binaries, postgres.url(other), dump)
        assert current_revision(postgres.url(other)) == "0001"
        assert upgrade(postgres, other, tmp_path / "others")[1] != []
    finally:
        postgres.execute(f"DROP DATABASE {other} WITH (FORCE)")


def test_only_the_newest_dumps_are_kept(postgres: PostgresServer, empty_database: str, tmp_path: Path) -> None:
    """The disk does not fill."""
    folder = tmp_path / "upgrades"
    folder.mkdir()
    old = [folder / f"ledger-0000-2026010{day}T000000000000Z.dump" for day in (1, 2, 3)]
    for file in old:
        file.touch()
    make_earlier(postgres.url(empty_database), "0001")
    dump, _ = upgrade(postgres, empty_database, folder, kept=2)
    assert sorted(folder.iterdir()) == sorted([old[2], dump])


def test_a_broken_chain_stops_the_upgrade(postgres: PostgresServer, empty_database: str, tmp_path: Path) -> None:
    """The record is named, and so is the dump; trying again does not go on either."""
    make_earlier(postgres.url(empty_database), "0001")
    with psycopg.connect(postgres.url(empty_database)) as connection:
        connection.execute("ALTER TABLE ledger.spec DISABLE TRIGGER append_only")
        connection.execute("UPDATE ledger.spec SET source_text = 'other' WHERE seq = 1")
    for _ in range(2):
        with pytest.raises(PermanentError, match=r"record 1 was altered.*upgrades/ledger-0001-"):
            upgrade(postgres, empty_database, tmp_path / "upgrades")


def test_a_dump_that_fails_changes_nothing(postgres: PostgresServer, empty_database: str, tmp_path: Path) -> None:
    """Without `pg_dump`, or with one that fails, the ledger stays as it was, and no password is told."""
    make_earlier(postgres.url(empty_database), "0001")
    with pytest.raises(PermanentError, match="has no pg_dump"):
        upgrade_ledger(postgres.url(empty_database), APP_ROLE, tmp_path, tmp_path / "a", 5, print)
    wrong = postgres.url(empty_database).replace(postgres.password, secrets.token_hex(8))
    with pytest.raises(PermanentError, match="pg_dump of database") as caught:
        dump_database(postgres.binaries, wrong, tmp_path / "b.dump")
    assert wrong.split("@")[0].rpartition(":")[2] not in str(caught.value)
    assert not (tmp_path / "b.dump").exists()
    assert current_revision(postgres.url(empty_database)) == "0001"
