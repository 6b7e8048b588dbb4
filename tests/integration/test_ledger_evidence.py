"""Evidence: nobody changes a record, every record has its event, and what was tampered with is named."""
# ruff: noqa: S608 - the statements are made of this file's own names

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest

from blocks.ledger import Ledger, team_tables
from blocks.ledger.schema import metadata
from blocks.ledger.tables import CHAINED
from blocks.ledger.team_tables import MUTABLE
from domain.status import EnvironmentStatus, Operation, RunStatus
from domain.step import Undo
from tests.postgres_server import APP_ROLE, PostgresServer

AT = datetime(2026, 11, 24, tzinfo=UTC)
TABLES = [table.name for table in metadata.sorted_tables if table not in MUTABLE]
#: Records of a team; `hold` and `vault_object` stand for the numbers of those records.
TEAM_RECORDS: dict[str, dict[str, object]] = {
    "token": {"name": "ada", "role": "developer", "sha256": "e" * 64, "expires_at": None, "actor": "root"},
    "token_revocation": {"name": "ada", "actor": "root", "reason": "left"},
    "approval": {"plan_id": "p1", "digest": "d" * 64, "actor": "bob", "reason": "seen", "expires_at": AT},
    "replacement": {"request_id": "key", "address": "module.database", "actor": "ada"},
    "hold": {"expires_at": AT, "actor": "bob", "reason": "incident"},
    "hold_release": {"hold_seq": "hold", "actor": "bob", "reason": "over"},
    "takeover": {"dead_run_id": "run-1", "actor": "sweeper", "reason": "its process is gone"},
    "module_pin": {"generation": 1, "digest": "f" * 64, "location": "s3://state/m", "run_id": "run-1", "actor": "ada"},
    "vault_object": {
        "kind": "anchor",
        "account": "nonproduction",
        "location": "s3://vault/a",
        "sha256": "a" * 64,
        "head_seq": 3,
        "head_hash": "b" * 64,
        "actor": "schedule",
    },
    "vault_loss": {"object_seq": "vault_object", "actor": "stack", "reason": "forgotten"},
}


@pytest.fixture
def told_ledger(ledger: Ledger) -> Ledger:
    """A ledger with a record of every kind."""
    version = ledger.add_spec("dev", '{"class":"dev","ttl":"1h"}', "name: dev", "ada")
    ledger.add_request("key", "dev", Operation.PROVISION, version, None, "ada", "first")
    ledger.begin_run("run-1", "dev", Operation.PROVISION, "provision_environment", version, "key", "ada", "host", 1)
    ledger.open_generation("dev", "run-1", "nonproduction", "")
    ledger.enter_run("run-1", "dev")
    ledger.take_lease("dev", "run-1")
    step_id = ledger.begin_step(
        "run-1", "save_plan", {"nested": {"ü": [1.50, 1e-7, True, None]}}, Undo(name="delete_plan")
    )
    ledger.add_plan("p1", "dev", version, "run-1", "d" * 64, "{}", "s3://state/p1", AT)
    ledger.finish_step(step_id, "done", "saved")
    ledger.finish_run("run-1", RunStatus.SUCCEEDED, EnvironmentStatus.READY, report={"resources": 3, "cost": 0.1})
    ledger.add_notice("dev", "warn", AT)
    ledger.add_extension("dev", AT, "bob", "demo")
    numbers: dict[object, int] = {}
    for table in team_tables.CHAINED:
        values = {name: numbers.get(value, value) for name, value in TEAM_RECORDS[table.name].items()}
        own = {"environment": "dev"} if "environment" in table.c else {}
        with ledger._append() as chain:
            numbers[table.name] = chain.append(table, values | own, environment="dev", actor="ada")
    ledger.mark_lost("dev", "the emulator restarted")
    return ledger


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


CHANGES = {
    "event": "reason = 'other'",
    "spec": "source_text = 'other'",
    "request": "actor = 'eve'",
    "run": "pid = 2",
    "run_outcome": """report = '{"resources": 2, "cost": 0.1}'""",
    "step": "arguments = '{}'",
    "step_outcome": "outcome = 'failed'",
    "generation": "account = 'production'",
    "loss": "reason = 'other'",
    "plan": "location = 'elsewhere'",
    "extension": "expires_at = now()",
    "notice": "kind = 'expire'",
    "token": "role = 'administrator'",
    "token_revocation": "reason = 'other'",
    "approval": "actor = 'eve'",
    "replacement": "address = 'module.media'",
    "hold": "expires_at = now()",
    "hold_release": "reason = 'other'",
    "takeover": "dead_run_id = 'run-2'",
    "module_pin": "digest = 'other'",
    "vault_object": "location = 'elsewhere'",
    "vault_loss": "reason = 'other'",
}


def _tamper(postgres: PostgresServer, database: str, *statements: str) -> None:
    """Change the ledger as somebody who holds the server: without triggers and foreign keys."""
    with psycopg.connect(postgres.url(database)) as connection:
        connection.execute("SET session_replication_role = replica")
        for name in TABLES:
            connection.execute(f"ALTER TABLE ledger.{name} DISABLE TRIGGER append_only".encode())
        for statement in statements:
            assert connection.execute(statement.encode()).rowcount > 0


@pytest.mark.parametrize("name", CHANGES)
def test_altered_record_is_named(
    postgres: PostgresServer, told_ledger: Ledger, ledger_database: str, name: str
) -> None:
    """A record of any kind that was changed in the database is named by its number and kind."""
    seq = 4 if name == "event" else next(event.seq for event in told_ledger.list_events() if event.kind == name)
    _tamper(postgres, ledger_database, f"UPDATE ledger.{name} SET {CHANGES[name]} WHERE seq = {seq}")
    found = told_ledger.verify_chain()
    assert found is not None
    assert (found.seq, found.fault) == (seq, "altered")


@pytest.mark.parametrize("name", CHANGES)
def test_removed_record_is_named(
    postgres: PostgresServer, told_ledger: Ledger, ledger_database: str, name: str
) -> None:
    """A record of any kind that was deleted, or an event, is named by its number."""
    seq = 4 if name == "event" else next(event.seq for event in told_ledger.list_events() if event.kind == name)
    _tamper(postgres, ledger_database, f"DELETE FROM ledger.{name} WHERE seq = {seq}")
    found = told_ledger.verify_chain()
    assert found is not None
    assert (found.seq, found.fault) == (seq, "removed")


def test_reordered_events_are_named(postgres: PostgresServer, told_ledger: Ledger, ledger_database: str) -> None:
    """Two events that changed places are named at the first of the two."""
    moves = [f"UPDATE ledger.event SET seq = {new} WHERE seq = {old}" for old, new in ((3, -3), (4, 3), (-3, 4))]
    _tamper(postgres, ledger_database, *moves)
    found = told_ledger.verify_chain()
    assert found is not None
    assert (found.seq, found.fault) == (3, "reordered")


def test_cut_tail_is_seen(postgres: PostgresServer, told_ledger: Ledger, ledger_database: str) -> None:
    """Cut events betray themselves by the records they leave; cut with their records, only an anchor shows them."""
    last = told_ledger.list_events()[-1]
    _tamper(postgres, ledger_database, f"DELETE FROM ledger.event WHERE seq = {last.seq}")
    found = told_ledger.verify_chain()
    assert found is not None
    assert (found.seq, found.fault) == (last.seq, "removed")
    _tamper(postgres, ledger_database, f"DELETE FROM ledger.loss WHERE seq = {last.seq}")
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
