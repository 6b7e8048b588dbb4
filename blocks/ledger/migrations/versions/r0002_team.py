"""What a team needs: tokens, approvals, holds, leases with heartbeats, pinned modules, and what lies in a vault."""

from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = """
-- A plan's id names what it would change: the same plan made again has the same id, and the newest row counts.
ALTER TABLE ledger.plan DROP CONSTRAINT plan_id_key;
CREATE INDEX plan_id ON ledger.plan (id, seq);
ALTER TABLE ledger.plan ADD COLUMN sha256 text;
-- The hash of a call that came with an idempotency key: the key again with another call is an error.
ALTER TABLE ledger.request ADD COLUMN fingerprint text;

CREATE TABLE ledger.token (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    name text NOT NULL UNIQUE,
    role text NOT NULL,
    sha256 text NOT NULL UNIQUE,
    expires_at timestamptz,
    actor text NOT NULL
);

CREATE TABLE ledger.token_revocation (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    name text NOT NULL UNIQUE REFERENCES ledger.token (name),
    actor text NOT NULL,
    reason text NOT NULL
);

CREATE TABLE ledger.approval (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    plan_id text NOT NULL,
    environment text NOT NULL,
    digest text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX approval_plan ON ledger.approval (plan_id, seq);

CREATE TABLE ledger.replacement (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    request_id text NOT NULL REFERENCES ledger.request (id),
    environment text NOT NULL,
    address text NOT NULL,
    actor text NOT NULL,
    UNIQUE (request_id, address)
);

CREATE TABLE ledger.hold (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    environment text NOT NULL,
    expires_at timestamptz NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL
);
CREATE INDEX hold_environment ON ledger.hold (environment, seq);

CREATE TABLE ledger.hold_release (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    hold_seq bigint NOT NULL UNIQUE REFERENCES ledger.hold,
    environment text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL
);

CREATE TABLE ledger.takeover (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    environment text NOT NULL,
    dead_run_id text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL
);

CREATE TABLE ledger.module_pin (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    environment text NOT NULL,
    generation integer NOT NULL,
    digest text NOT NULL,
    location text NOT NULL,
    run_id text NOT NULL,
    actor text NOT NULL,
    FOREIGN KEY (environment, generation) REFERENCES ledger.generation (environment, number)
);
CREATE INDEX module_pin_environment ON ledger.module_pin (environment, seq);

CREATE TABLE ledger.vault_object (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    account text NOT NULL,
    location text NOT NULL,
    sha256 text NOT NULL,
    head_seq bigint NOT NULL,
    head_hash text NOT NULL,
    actor text NOT NULL
);

CREATE TABLE ledger.vault_loss (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    object_seq bigint NOT NULL UNIQUE REFERENCES ledger.vault_object,
    actor text NOT NULL,
    reason text NOT NULL
);

-- Telemetry, changed in place: no evidence, and no part of the chain.
CREATE TABLE ledger.liveness (
    run_id text PRIMARY KEY,
    environment text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    start_ticks bigint NOT NULL,
    boot_id text NOT NULL,
    pid_namespace text NOT NULL,
    beat_at timestamptz NOT NULL
);

CREATE TABLE ledger.lease (
    environment text PRIMARY KEY,
    run_id text NOT NULL UNIQUE,
    taken_at timestamptz NOT NULL
);
"""

GUARDED = (
    *("token", "token_revocation", "approval", "replacement", "hold", "hold_release", "takeover", "module_pin"),
    *("vault_object", "vault_loss"),
)

STATE_OF_TOKENS = """
-- A token as it stands.
CREATE VIEW ledger.token_state AS
SELECT t.name, t.role, t.sha256, t.at AS created_at, t.actor, t.expires_at, r.at AS revoked_at
FROM ledger.token t LEFT JOIN ledger.token_revocation r ON r.name = t.name
"""

OPEN_HOLDS = """
-- Holds that nobody released. Whether one has expired is the reader's clock's matter.
CREATE VIEW ledger.open_hold AS
SELECT h.* FROM ledger.hold h WHERE NOT EXISTS (SELECT FROM ledger.hold_release r WHERE r.hold_seq = h.seq)
"""

STATE_OF_LEASES = """
-- Who changes an environment now, and when that run last showed that it lives.
CREATE VIEW ledger.lease_state AS
SELECT l.environment, l.run_id, l.taken_at, v.host, v.pid, v.start_ticks, v.boot_id, v.pid_namespace, v.beat_at,
    r.actor, r.operation
FROM ledger.lease l
LEFT JOIN ledger.liveness v ON v.run_id = l.run_id
LEFT JOIN ledger.run_state r ON r.run_id = l.run_id
"""


def upgrade() -> None:
    """Add the tables, their guards and their views."""
    op.execute(TABLES)
    for name in GUARDED:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.{name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()"
        )
        op.execute(f"ALTER TABLE ledger.{name} ENABLE ALWAYS TRIGGER append_only")
    for view in (STATE_OF_TOKENS, OPEN_HOLDS, STATE_OF_LEASES):
        op.execute(view)
