"""Evidence: nobody changes a record, every record has its event, and what was tampered with is named."""
# ruff: noqa: S608 - the statements are made of this file's own names

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from blocks.ledger import Ledger
from blocks.ledger.tables import CHAINED
from domain.status import Operation
from tests.postgres_server import APP_ROLE, PostgresServer
from tests.told_ledger import CHANGES, TABLES, tamper


def test_every_record_has_its_event(told_ledger: Ledger) -> None:
    """Each kind of record stands in the chain, with who, what, where, why and the outcome; the chain is whole."""
    events = told_ledger.list_events()
    assert {event.kind for event in events} == {table.name for table in CHAINED}
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    told = {event.kind: (event.actor, event.environment, event.run_id, event.reason, event.outcome) for event in events}
    assert told["request"] == ("ada", "dev", "", "first", "")
    assert told["step_outcome"] == ("ada", "dev", "run-1", "save_plan", "done")
    assert told["run_outcome"] == ("ada", "dev", "run-1", "", "succeeded")
    assert told["extension"][3:] == ("demo", "expires 2026-11-24T00:00:00Z")
    assert told_ledger.verify_chain() is None


def test_events_are_read_in_parts(told_ledger: Ledger) -> None:
    """Events of one environment, or those after a number, as many as asked for."""
    assert told_ledger.list_events("staging") == []
    assert [event.seq for event in told_ledger.list_events(after_seq=3, limit=2)] == [4, 5]


@pytest.mark.parametrize("role", [APP_ROLE, "owner"])
@pytest.mark.parametrize(
    "statement", ["UPDATE ledger.{} SET at = now()", "DELETE FROM ledger.{}", "TRUNCATE ledger.{} CASCADE"]
)
def test_nobody_changes_a_record(
    postgres: PostgresServer, told_ledger: Ledger, ledger_database: str, role: str, statement: str
) -> None:
    """Neither the application's role nor the owner updates, deletes or truncates any table."""
    assert told_ledger.list_events()
    with psycopg.connect(postgres.url(ledger_database, role), autocommit=True) as connection:
        for name in TABLES:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.format(name).encode())


def test_application_only_reads_and_inserts(postgres: PostgresServer, ledger: Ledger, ledger_database: str) -> None:
    """The application's role has SELECT and INSERT, and creates nothing; leases and heartbeats are no records."""
    assert ledger.list_events() == []
    rights = (
        "SELECT DISTINCT privilege_type FROM information_schema.role_table_grants "
        "WHERE grantee = current_user AND table_schema = 'ledger' AND table_name NOT IN ('lease', 'liveness')"
    )
    with psycopg.connect(postgres.url(ledger_database, APP_ROLE), autocommit=True) as connection:
        assert {row[0] for row in connection.execute(rights)} == {"SELECT", "INSERT"}
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE ledger.other (id integer)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("ALTER TABLE ledger.event DISABLE TRIGGER append_only")


@pytest.mark.parametrize("name", CHANGES)
def test_altered_record_is_named(
    postgres: PostgresServer, told_ledger: Ledger, ledger_database: str, name: str
) -> None:
    """A record of any kind that was changed in the database is named by its number and kind."""
    seq = 4 if name == "event" else next(event.seq for event in told_ledger.list_events() if event.kind == name)
    tamper(postgres, ledger_database, f"UPDATE ledger.{name} SET {CHANGES[name]} WHERE seq = {seq}")
    found = told_ledger.verify_chain()
    assert found is not None
    assert (found.seq, found.fault) == (seq, "altered")


@pytest.mark.parametrize("name", CHANGES)
def test_removed_record_is_named(
    postgres: PostgresServer, told_ledger: Ledger, ledger_database: str, name: str
) -> None:
    """A record of any kind that was deleted, or an event, is named by its number."""
    seq = 4 if name == "event" else next(event.seq for event in told_ledger.list_events() if event.kind == name)
    tamper(postgres, ledger_database, f"DELETE FROM ledger.{name} WHERE seq = {seq}")
    found = told_ledger.verify_chain()
    assert found is not None
    assert (found.seq, found.fault) == (seq, "removed")


def test_reordered_events_are_named(postgres: PostgresServer, told_ledger: Ledger, ledger_database: str) -> None:
    """Two events that changed places are named at the first of the two."""
    moves = [f"UPDATE ledger.event SET seq = {new} WHERE seq = {old}" for old, new in ((3, -3), (4, 3), (-3, 4))]
    tamper(postgres, ledger_database, *moves)
    found = told_ledger.verify_chain()
    assert found is not None
    assert (found.seq, found.fault) == (3, "reordered")


def test_cut_tail_is_seen(postgres: PostgresServer, told_ledger: Ledger, ledger_database: str) -> None:
    """Cut events betray themselves by the records they leave; cut with their records, only an anchor shows them."""
    last = told_ledger.list_events()[-1]
    tamper(postgres, ledger_database, f"DELETE FROM ledger.event WHERE seq = {last.seq}")
    found = told_ledger.verify_chain()
    assert found is not None
    assert (found.seq, found.fault) == (last.seq, "removed")
    tamper(postgres, ledger_database, f"DELETE FROM ledger.loss WHERE seq = {last.seq}")
    assert told_ledger.verify_chain() is None
    found = told_ledger.verify_chain({last.seq: last.hash})
    assert found is not None
    assert (found.seq, found.fault) == (last.seq, "removed")


def test_many_writers_make_one_chain(ledger: Ledger) -> None:
    """Eight threads at once: nothing is lost, no number is given twice, and the chain is whole."""
    version = ledger.add_spec("dev", "{}", "", "ada")

    def tell(worker: int) -> None:
        run_id = f"run-{worker}"
        ledger.begin_run(run_id, "dev", Operation.PLAN, "f", version, None, "ada", "host", worker)
        for _ in range(10):
            ledger.finish_step(ledger.begin_step(run_id, "apply", {}), "done")
        ledger.open_generation("dev", run_id, "nonproduction", "")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(8)))
    events = ledger.list_events(limit=1000)
    assert [event.seq for event in events] == list(range(1, 1 + 8 + 160 + 1 + 1))
    assert [event.kind for event in events].count("generation") == 1
    assert ledger.verify_chain() is None


def test_anchor_is_checked_in_a_chain_that_went_on(told_ledger: Ledger) -> None:
    """An anchor of an older event still speaks: its hash has to be the one of then."""
    events = told_ledger.list_events()
    assert told_ledger.verify_chain({3: events[2].hash}) is None
    found = told_ledger.verify_chain({3: events[3].hash})
    assert found is not None
    assert (found.seq, found.fault) == (3, "altered")
