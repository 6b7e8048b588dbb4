"""The ledger's tables as the code sees them; the migrations make them, and a test compares the two.

Every record has the number (`seq`) and time of the event in the chain that was written with it. Rows are only inserted.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from blocks.ledger import backup_tables, team_tables
from blocks.ledger.schema import SCHEMA, Json, Time, column, metadata, seq


def _spec_reference() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["environment", "spec_version"], [f"{SCHEMA}.spec.environment", f"{SCHEMA}.spec.version"]
    )


spec = Table(
    "spec",
    metadata,
    seq(),
    column("at", Time),
    column("environment"),
    column("version", Integer),
    column("spec_json"),
    column("source_text"),
    column("digest"),
    column("actor"),
    UniqueConstraint("environment", "version"),
)
request = Table(
    "request",
    metadata,
    seq(),
    column("at", Time),
    Column("id", Text, nullable=False, unique=True),
    column("environment"),
    column("operation"),
    Column("spec_version", Integer),
    Column("plan_id", Text),
    column("actor"),
    column("reason"),
    Column("fingerprint", Text),
    _spec_reference(),
)
run = Table(
    "run",
    metadata,
    seq(),
    column("at", Time),
    column("id"),
    column("attempt", SmallInteger),
    column("environment"),
    column("operation"),
    column("flow"),
    Column("spec_version", Integer),
    Column("request_id", Text, ForeignKey(request.c.id)),
    column("actor"),
    column("host"),
    column("pid", Integer),
    Column("parameters", Json),
    UniqueConstraint("id", "attempt"),
    _spec_reference(),
    Index("run_environment", "environment", "seq"),
)
run_outcome = Table(
    "run_outcome",
    metadata,
    seq(),
    column("at", Time),
    column("run_id"),
    column("attempt", SmallInteger),
    column("environment"),
    Column("generation", Integer),
    column("status"),
    Column("environment_status", Text),
    Column("counts", Json),
    Column("report", Json),
    column("error"),
    UniqueConstraint("run_id", "attempt"),
    ForeignKeyConstraint(["run_id", "attempt"], [run.c.id, run.c.attempt]),
    Index("run_outcome_environment", "environment", "seq"),
)
step = Table(
    "step",
    metadata,
    seq(),
    column("at", Time),
    column("run_id"),
    column("attempt", SmallInteger),
    column("name"),
    column("arguments", Json),
    Column("undo", Json),
    ForeignKeyConstraint(["run_id", "attempt"], [run.c.id, run.c.attempt]),
    Index("step_run", "run_id", "seq"),
)
step_outcome = Table(
    "step_outcome",
    metadata,
    seq(),
    column("at", Time),
    Column("step_id", BigInteger, ForeignKey(step.c.seq), nullable=False),
    column("outcome"),
    Column("detail", Json),
    Index("step_outcome_step", "step_id", "seq"),
)
generation = Table(
    "generation",
    metadata,
    seq(),
    column("at", Time),
    column("environment"),
    column("number", Integer),
    column("origin_run_id"),
    column("account"),
    column("endpoint"),
    UniqueConstraint("environment", "number"),
)
loss = Table(
    "loss",
    metadata,
    seq(),
    column("at", Time),
    column("environment"),
    column("generation", Integer),
    column("actor"),
    column("reason"),
    UniqueConstraint("environment", "generation"),
    ForeignKeyConstraint(["environment", "generation"], [generation.c.environment, generation.c.number]),
)
plan = Table(
    "plan",
    metadata,
    seq(),
    column("at", Time),
    column("id"),
    column("environment"),
    column("spec_version", Integer),
    column("run_id"),
    column("digest"),
    column("changes_json"),
    column("location"),
    column("expires_at", Time),
    Column("sha256", Text),
    _spec_reference(),
    Index("plan_id", "id", "seq"),
)
extension = Table(
    "extension",
    metadata,
    seq(),
    column("at", Time),
    column("environment"),
    column("expires_at", Time),
    column("actor"),
    column("reason"),
    Index("extension_environment", "environment", "seq"),
)
notice = Table(
    "notice",
    metadata,
    seq(),
    column("at", Time),
    column("environment"),
    column("kind"),
    column("expires_at", Time),
    column("actor"),
    Index("notice_environment", "environment", "kind", "seq"),
)
journal = Table(  # telemetry: not chained row by row, its digest stands in the finish of the step
    "journal",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    column("run_id"),
    column("at", Time),
    column("kind"),
    column("address"),
    column("resource_type"),
    column("action"),
    column("resource_id"),
    column("elapsed_seconds", Float(53)),
    Index("journal_run", "run_id", "id"),
)

CHAINED = (
    *(spec, request, run, run_outcome, step, step_outcome, generation, loss, plan, extension, notice),
    *team_tables.CHAINED,
    *backup_tables.CHAINED,
)
