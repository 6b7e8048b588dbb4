"""Backups: what was taken, what a restore test said of it, and which were let go."""

from alembic import op

revision = "0003"
down_revision = "0002"

TABLES = """
CREATE TABLE ledger.backup (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    id text NOT NULL UNIQUE,
    environment text NOT NULL,
    kind text NOT NULL,
    account text NOT NULL,
    location text NOT NULL,
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    manifest json NOT NULL,
    taken_at timestamptz NOT NULL,
    run_id text NOT NULL,
    actor text NOT NULL
);
CREATE INDEX backup_environment ON ledger.backup (environment, seq);

CREATE TABLE ledger.verdict (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    backup_id text NOT NULL REFERENCES ledger.backup (id),
    environment text NOT NULL,
    status text NOT NULL,
    questions json NOT NULL,
    restore_seconds double precision,
    recovery_point_at timestamptz,
    run_id text NOT NULL,
    actor text NOT NULL
);
CREATE INDEX verdict_backup ON ledger.verdict (backup_id, seq);

CREATE TABLE ledger.backup_loss (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    backup_id text NOT NULL UNIQUE REFERENCES ledger.backup (id),
    environment text NOT NULL,
    reason text NOT NULL,
    run_id text NOT NULL,
    actor text NOT NULL
);
"""

GUARDED = ("backup", "verdict", "backup_loss")


def upgrade() -> None:
    """Add the tables and their guards."""
    op.execute(TABLES)
    for name in GUARDED:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.{name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()"
        )
        op.execute(f"ALTER TABLE ledger.{name} ENABLE ALWAYS TRIGGER append_only")
