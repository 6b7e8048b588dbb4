"""The ledger's tables as the code sees them; the migrations make them, and a test compares the two.

Every record has the number (`seq`) and time of the event in the chain that was written with it. Rows are only inserted.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

SCHEMA = "ledger"
REVISION = "0001"  # the schema that this code was written for

metadata = MetaData(schema=SCHEMA)
Time = DateTime(timezone=True)
Json = JSON(none_as_null=True)  # not JSONB: the text stays as it was hashed


def _column(name: str, kind: type[TypeEngine[Any]] | TypeEngine[Any] = Text) -> Column[Any]:
    return Column(name, kind, nullable=False)


event = Table(
    "event",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _column("at", Time),
    _column("actor"),
    _column("kind"),
    _column("environment"),
    _column("run_id"),
    _column("reason"),
    _column("outcome"),
    _column("inputs_sha256"),
    _column("prev_hash"),
    Column("hash", Text, nullable=False, unique=True),
    Index("event_environment", "environment", "seq"),
)


def _seq() -> Column[int]:
    return Column("seq", BigInteger, ForeignKey(event.c.seq), primary_key=True, autoincrement=False)


def _spec_reference() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["environment", "spec_version"], [f"{SCHEMA}.spec.environment", f"{SCHEMA}.spec.version"]
    )


spec = Table(
    "spec",
    metadata,
    _seq(),
    _column("at", Time),
    _column("environment"),
    _column("version", Integer),
    _column("spec_json"),
    _column("source_text"),
    _column("digest"),
    _column("actor"),
    UniqueConstraint("environment", "version"),
)
request = Table(
    "request",
    metadata,
    _seq(),
    _column("at", Time),
    Column("id", Text, nullable=False, unique=True),
    _column("environment"),
    _column("operation"),
    Column("spec_version", Integer),
    Column("plan_id", Text),
    _column("actor"),
    _column("reason"),
    _spec_reference(),
)
run = Table(
    "run",
    metadata,
    _seq(),
    _column("at", Time),
    _column("id"),
    _column("attempt", SmallInteger),
    _column("environment"),
    _column("operation"),
    _column("flow"),
    Column("spec_version", Integer),
    Column("request_id", Text, ForeignKey(request.c.id)),
    _column("actor"),
    _column("host"),
    _column("pid", Integer),
    UniqueConstraint("id", "attempt"),
    _spec_reference(),
    Index("run_environment", "environment", "seq"),
)
run_outcome = Table(
    "run_outcome",
    metadata,
    _seq(),
    _column("at", Time),
    _column("run_id"),
    _column("attempt", SmallInteger),
    _column("environment"),
    Column("generation", Integer),
    _column("status"),
    Column("environment_status", Text),
    Column("counts", Json),
    Column("report", Json),
    _column("error"),
    UniqueConstraint("run_id", "attempt"),
    ForeignKeyConstraint(["run_id", "attempt"], [run.c.id, run.c.attempt]),
    Index("run_outcome_environment", "environment", "seq"),
)
step = Table(
    "step",
    metadata,
    _seq(),
    _column("at", Time),
    _column("run_id"),
    _column("attempt", SmallInteger),
    _column("name"),
    _column("arguments", Json),
    Column("undo", Json),
    ForeignKeyConstraint(["run_id", "attempt"], [run.c.id, run.c.attempt]),
    Index("step_run", "run_id", "seq"),
)
step_outcome = Table(
    "step_outcome",
    metadata,
    _seq(),
    _column("at", Time),
    Column("step_id", BigInteger, ForeignKey(step.c.seq), nullable=False),
    _column("outcome"),
    Column("detail", Json),
    Index("step_outcome_step", "step_id", "seq"),
)
generation = Table(
    "generation",
    metadata,
    _seq(),
    _column("at", Time),
    _column("environment"),
    _column("number", Integer),
    _column("origin_run_id"),
    _column("account"),
    _column("endpoint"),
    UniqueConstraint("environment", "number"),
)
loss = Table(
    "loss",
    metadata,
    _seq(),
    _column("at", Time),
    _column("environment"),
    _column("generation", Integer),
    _column("actor"),
    _column("reason"),
    UniqueConstraint("environment", "generation"),
    ForeignKeyConstraint(["environment", "generation"], [generation.c.environment, generation.c.number]),
)
plan = Table(
    "plan",
    metadata,
    _seq(),
    _column("at", Time),
    Column("id", Text, nullable=False, unique=True),
    _column("environment"),
    _column("spec_version", Integer),
    _column("run_id"),
    _column("digest"),
    _column("changes_json"),
    _column("location"),
    _column("expires_at", Time),
    _spec_reference(),
)
extension = Table(
    "extension",
    metadata,
    _seq(),
    _column("at", Time),
    _column("environment"),
    _column("expires_at", Time),
    _column("actor"),
    _column("reason"),
    Index("extension_environment", "environment", "seq"),
)
notice = Table(
    "notice",
    metadata,
    _seq(),
    _column("at", Time),
    _column("environment"),
    _column("kind"),
    _column("expires_at", Time),
    _column("actor"),
    Index("notice_environment", "environment", "kind", "seq"),
)
journal = Table(  # telemetry: not chained row by row, its digest stands in the finish of the step
    "journal",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _column("run_id"),
    _column("at", Time),
    _column("kind"),
    _column("address"),
    _column("resource_type"),
    _column("action"),
    _column("resource_id"),
    _column("elapsed_seconds", Float(53)),
    Index("journal_run", "run_id", "id"),
)

CHAINED = (spec, request, run, run_outcome, step, step_outcome, generation, loss, plan, extension, notice)
