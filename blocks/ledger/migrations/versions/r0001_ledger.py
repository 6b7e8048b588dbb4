"""The ledger: chained events, the records they stand for, the guards that keep both, and current state as views."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE ledger.event (
    seq bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    kind text NOT NULL,
    environment text NOT NULL,
    run_id text NOT NULL,
    reason text NOT NULL,
    outcome text NOT NULL,
    inputs_sha256 text NOT NULL,
    prev_hash text NOT NULL,
    hash text NOT NULL UNIQUE
);
CREATE INDEX event_environment ON ledger.event (environment, seq);

CREATE TABLE ledger.spec (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    environment text NOT NULL,
    version integer NOT NULL,
    spec_json text NOT NULL CHECK (spec_json::json IS NOT NULL),
    source_text text NOT NULL,
    digest text NOT NULL,
    actor text NOT NULL,
    UNIQUE (environment, version)
);

CREATE TABLE ledger.request (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    id text NOT NULL UNIQUE,
    environment text NOT NULL,
    operation text NOT NULL,
    spec_version integer,
    plan_id text,
    actor text NOT NULL,
    reason text NOT NULL,
    FOREIGN KEY (environment, spec_version) REFERENCES ledger.spec (environment, version)
);

CREATE TABLE ledger.run (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    id text NOT NULL,
    attempt smallint NOT NULL,
    environment text NOT NULL,
    operation text NOT NULL,
    flow text NOT NULL,
    spec_version integer,
    request_id text REFERENCES ledger.request (id),
    actor text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    UNIQUE (id, attempt),
    FOREIGN KEY (environment, spec_version) REFERENCES ledger.spec (environment, version)
);
CREATE INDEX run_environment ON ledger.run (environment, seq);

CREATE TABLE ledger.run_outcome (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    run_id text NOT NULL,
    attempt smallint NOT NULL,
    environment text NOT NULL,
    generation integer,
    status text NOT NULL,
    environment_status text,
    counts json,
    report json,
    error text NOT NULL,
    UNIQUE (run_id, attempt),
    FOREIGN KEY (run_id, attempt) REFERENCES ledger.run (id, attempt)
);
CREATE INDEX run_outcome_environment ON ledger.run_outcome (environment, seq);

CREATE TABLE ledger.step (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    run_id text NOT NULL,
    attempt smallint NOT NULL,
    name text NOT NULL,
    arguments json NOT NULL,
    undo json,
    FOREIGN KEY (run_id, attempt) REFERENCES ledger.run (id, attempt)
);
CREATE INDEX step_run ON ledger.step (run_id, seq);

CREATE TABLE ledger.step_outcome (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    step_id bigint NOT NULL REFERENCES ledger.step,
    outcome text NOT NULL,
    detail json
);
CREATE INDEX step_outcome_step ON ledger.step_outcome (step_id, seq);

CREATE TABLE ledger.generation (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    environment text NOT NULL,
    number integer NOT NULL,
    origin_run_id text NOT NULL,
    account text NOT NULL,
    endpoint text NOT NULL,
    UNIQUE (environment, number)
);

CREATE TABLE ledger.loss (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    environment text NOT NULL,
    generation integer NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    UNIQUE (environment, generation),
    FOREIGN KEY (environment, generation) REFERENCES ledger.generation (environment, number)
);

CREATE TABLE ledger.plan (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    id text NOT NULL UNIQUE,
    environment text NOT NULL,
    spec_version integer NOT NULL,
    run_id text NOT NULL,
    digest text NOT NULL,
    changes_json text NOT NULL,
    location text NOT NULL,
    expires_at timestamptz NOT NULL,
    FOREIGN KEY (environment, spec_version) REFERENCES ledger.spec (environment, version)
);

CREATE TABLE ledger.extension (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    environment text NOT NULL,
    expires_at timestamptz NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL
);
CREATE INDEX extension_environment ON ledger.extension (environment, seq);

CREATE TABLE ledger.notice (
    seq bigint PRIMARY KEY REFERENCES ledger.event,
    at timestamptz NOT NULL,
    environment text NOT NULL,
    kind text NOT NULL,
    expires_at timestamptz NOT NULL,
    actor text NOT NULL
);
CREATE INDEX notice_environment ON ledger.notice (environment, kind, seq);

CREATE TABLE ledger.journal (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    address text NOT NULL,
    resource_type text NOT NULL,
    action text NOT NULL,
    resource_id text NOT NULL,
    elapsed_seconds double precision NOT NULL
);
CREATE INDEX journal_run ON ledger.journal (run_id, id);
"""

GUARD = """
CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger.% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$
"""

GUARDED = (
    *("event", "spec", "request", "run", "run_outcome", "step", "step_outcome"),
    *("generation", "loss", "plan", "extension", "notice", "journal"),
)

RUN_STATE = """
-- A run as it stands: its newest attempt, with the outcome where it has one.
CREATE VIEW ledger.run_state AS
SELECT r.id AS run_id, r.attempt, r.environment, r.operation, r.flow, r.spec_version, r.request_id, r.actor, r.host,
    r.pid, r.seq, r.at AS begun_at, o.at AS finished_at, coalesce(o.status, 'running') AS status, o.environment_status,
    o.counts, o.report, o.error
FROM ledger.run r
LEFT JOIN ledger.run_outcome o ON o.run_id = r.id AND o.attempt = r.attempt
WHERE NOT EXISTS (SELECT FROM ledger.run later WHERE later.id = r.id AND later.attempt > r.attempt)
"""

STEP_STATE = """
-- A step as it stands, with its newest outcome: a step may be finished and later undone.
CREATE VIEW ledger.step_state AS
SELECT s.seq AS step_id, s.run_id, s.attempt, s.name, s.arguments, s.undo, s.at AS begun_at,
    coalesce(o.outcome, 'begun') AS outcome, o.detail, o.at AS finished_at
FROM ledger.step s
LEFT JOIN LATERAL (
    SELECT outcome, detail, at FROM ledger.step_outcome WHERE step_id = s.seq ORDER BY seq DESC LIMIT 1
) o ON true
"""

LIVE_GENERATION = """
-- The generation that exists in an account: opened, not destroyed, not lost. At most one for each environment.
CREATE VIEW ledger.live_generation AS
SELECT g.* FROM ledger.generation g
WHERE NOT EXISTS (SELECT FROM ledger.run_outcome o
        WHERE o.environment = g.environment AND o.generation = g.number AND o.environment_status = 'destroyed')
    AND NOT EXISTS (SELECT FROM ledger.loss l WHERE l.environment = g.environment AND l.generation = g.number)
"""

ENVIRONMENT_CHANGE = """
-- What decides an environment's status, the newest wins: a provisioning or teardown without an outcome, an outcome that
-- says what it left (a refused run, or one that changed nothing, says nothing), a loss.
CREATE VIEW ledger.environment_change AS
SELECT o.environment, o.seq, o.at, r.operation, r.spec_version, o.run_id, o.environment_status AS status
FROM ledger.run_outcome o JOIN ledger.run r ON r.id = o.run_id AND r.attempt = o.attempt
WHERE o.environment_status IS NOT NULL
UNION ALL
SELECT environment, seq, begun_at, operation, spec_version, run_id,
    CASE operation WHEN 'provision' THEN 'provisioning' ELSE 'destroying' END
FROM ledger.run_state WHERE finished_at IS NULL AND operation IN ('provision', 'teardown')
UNION ALL
SELECT environment, seq, at, 'lost', NULL, NULL, 'lost' FROM ledger.loss
"""

ENVIRONMENT_STATE = """
-- Every environment that was ever to be made. Its spec is the one of the newest provisioning that counts. It expires
-- at the newest extension, else its spec's TTL after it was first ready (never ready: after the first outcome). A TTL
-- starts anew after a teardown or a loss; an extension survives a loss, unless it was over when the environment was
-- made again.
CREATE VIEW ledger.environment_state AS
WITH newest AS (
    SELECT DISTINCT ON (environment) * FROM ledger.environment_change ORDER BY environment, seq DESC
), applied AS (
    SELECT DISTINCT ON (environment) environment, spec_version FROM ledger.environment_change
    WHERE operation = 'provision' AND spec_version IS NOT NULL ORDER BY environment, seq DESC
)
SELECT n.environment AS name, n.status, n.at AS changed_at, n.run_id AS last_run_id, s.version AS spec_version,
    coalesce(j.spec ->> 'class', j.spec ->> 'cls', '') AS cls, coalesce(j.spec ->> 'cloud', '') AS cloud,
    coalesce(j.spec ->> 'region', '') AS region, coalesce(g.account, j.spec ->> 'account', '') AS account,
    coalesce(j.spec ->> 'owner', '') AS owner, g.number AS generation, first.ready_at,
    CASE WHEN g.number IS NULL THEN 0 ELSE coalesce(report.resources, 0) END AS resources,
    coalesce(report.scope, 'infrastructure') AS scope,
    coalesce(extract(epoch FROM (j.spec ->> 'ttl_warning')::interval) / 60, 0)::integer AS warning_minutes,
    CASE WHEN g.number IS NOT NULL AND j.spec ->> 'ttl' IS NOT NULL THEN coalesce(
        extended.expires_at,
        coalesce(first.ready_at, first.outcome_at) + (j.spec ->> 'ttl')::interval
    ) END AS expires_at
FROM newest n
LEFT JOIN applied a ON a.environment = n.environment
LEFT JOIN ledger.spec s ON s.environment = n.environment AND s.version = a.spec_version
LEFT JOIN LATERAL (SELECT s.spec_json::json AS spec) j ON true
LEFT JOIN ledger.live_generation g ON g.environment = n.environment
LEFT JOIN LATERAL (
    SELECT min(at) FILTER (WHERE environment_status = 'ready') AS ready_at, min(at) AS outcome_at
    FROM ledger.run_outcome
    WHERE environment = g.environment AND generation = g.number AND environment_status IS NOT NULL
) first ON true
LEFT JOIN LATERAL (
    SELECT (report ->> 'resources')::integer AS resources, report ->> 'scope' AS scope FROM ledger.run_outcome
    WHERE environment = g.environment AND generation = g.number AND json_typeof(report -> 'resources') = 'number'
    ORDER BY seq DESC LIMIT 1
) report ON true
LEFT JOIN LATERAL (
    SELECT expires_at FROM ledger.extension x
    WHERE x.environment = g.environment AND x.expires_at > g.at AND x.seq > coalesce((SELECT max(seq)
        FROM ledger.run_outcome WHERE environment = g.environment AND environment_status = 'destroyed'), 0)
    ORDER BY x.seq DESC LIMIT 1
) extended ON true
"""


def upgrade() -> None:
    """Create everything. A trigger of a table fires for everybody, its owner included, and for no matching row too."""
    op.execute(TABLES)
    op.execute(GUARD)
    for name in GUARDED:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.{name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()"
        )
        op.execute(f"ALTER TABLE ledger.{name} ENABLE ALWAYS TRIGGER append_only")
    for view in (RUN_STATE, STEP_STATE, LIVE_GENERATION, ENVIRONMENT_CHANGE, ENVIRONMENT_STATE):
        op.execute(view)
