"""What a run was asked for stands in its own row: whoever ends a dead run knows it from the ledger alone."""

from alembic import op

revision = "0004"
down_revision = "0003"

RUN_STATE = """
-- Runs as they stand: the newest attempt of each, with its outcome where it has one.
CREATE OR REPLACE VIEW ledger.run_state AS
SELECT r.id AS run_id, r.attempt, r.environment, r.operation, r.flow, r.spec_version, r.request_id, r.actor, r.host,
    r.pid, r.seq, r.at AS begun_at, o.at AS finished_at, coalesce(o.status, 'running') AS status, o.environment_status,
    o.counts, o.report, o.error, r.parameters
FROM ledger.run r
LEFT JOIN ledger.run_outcome o ON o.run_id = r.id AND o.attempt = r.attempt
WHERE NOT EXISTS (SELECT FROM ledger.run later WHERE later.id = r.id AND later.attempt > r.attempt)
"""


def upgrade() -> None:
    """Add the column, and to the view of runs."""
    op.execute("LOCK TABLE ledger.run_state IN ACCESS EXCLUSIVE MODE")  # in the order of its readers
    op.execute("ALTER TABLE ledger.run ADD COLUMN parameters json")
    op.execute(RUN_STATE)
