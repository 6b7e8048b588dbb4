"""A ledger with a record of every kind, and what somebody who holds the server can do to it."""

from datetime import UTC, datetime

import psycopg
import pytest

from blocks.ledger import Ledger, backup_tables, team_tables
from blocks.ledger.schema import metadata
from blocks.ledger.team_tables import MUTABLE
from domain.status import EnvironmentStatus, Operation, RunStatus
from domain.step import Undo
from tests.postgres_server import PostgresServer

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
    "backup": {
        "id": "b1",
        "kind": "logical",
        "account": "nonproduction",
        "location": "s3://vault/b",
        "sha256": "c" * 64,
        "size_bytes": 5,
        "manifest": {"tables": {}},
        "taken_at": AT,
        "run_id": "run-1",
        "actor": "schedule",
    },
    "verdict": {
        "backup_id": "b1",
        "status": "passed",
        "questions": {},
        "restore_seconds": 1.5,
        "recovery_point_at": AT,
        "run_id": "run-1",
        "actor": "schedule",
    },
    "backup_loss": {"backup_id": "b1", "reason": "retention", "run_id": "run-1", "actor": "schedule"},
}


def tell_all(ledger: Ledger) -> None:
    """Write a record of every kind."""
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
    for table in (*team_tables.CHAINED, *backup_tables.CHAINED):
        told = TEAM_RECORDS[table.name]
        values = {name: numbers.get(value, value) if isinstance(value, str) else value for name, value in told.items()}
        own = {"environment": "dev"} if "environment" in table.c else {}
        with ledger._append() as chain:
            numbers[table.name] = chain.append(table, values | own, environment="dev", actor="ada")
    ledger.mark_lost("dev", "the emulator restarted")


@pytest.fixture
def told_ledger(ledger: Ledger) -> Ledger:
    """A ledger with a record of every kind."""
    tell_all(ledger)
    return ledger


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
    "backup": "location = 'elsewhere'",
    "verdict": "status = 'failed'",
    "backup_loss": "reason = 'other'",
}


def tamper(postgres: PostgresServer, database: str, *statements: str) -> None:
    """Change the ledger as somebody who holds the server: without triggers and foreign keys."""
    with psycopg.connect(postgres.url(database)) as connection:
        connection.execute("SET session_replication_role = replica")
        for name in TABLES:
            connection.execute(f"ALTER TABLE ledger.{name} DISABLE TRIGGER append_only".encode())
        for statement in statements:
            assert connection.execute(statement.encode()).rowcount > 0
