"""Current state: the columns of the views that the migrations define. What each view means stands beside its SQL."""

from sqlalchemy import column, table

from blocks.ledger.rows import EnvironmentRow, RunRow, StepRow
from blocks.ledger.schema import SCHEMA, Json
from blocks.ledger.tables import generation
from blocks.ledger.team_tables import hold

_JSON = ("parameters", "counts", "report")
run_state = table(
    "run_state",
    column("seq"),
    *(column(name, Json) if name in _JSON else column(name) for name in RunRow.model_fields),
    schema=SCHEMA,
)
step_state = table(
    "step_state",
    *(column(name, Json) if name in ("arguments", "undo", "detail") else column(name) for name in StepRow.model_fields),
    schema=SCHEMA,
)
environment_state = table("environment_state", *(column(name) for name in EnvironmentRow.model_fields), schema=SCHEMA)
live_generation = table("live_generation", *(column(name) for name in generation.c.keys()), schema=SCHEMA)  # noqa: SIM118 - no dict
token_state = table(
    "token_state",
    *(column(name) for name in ("name", "role", "sha256", "created_at", "actor", "expires_at", "revoked_at")),
    schema=SCHEMA,
)
open_hold = table("open_hold", *(column(name) for name in hold.c.keys()), schema=SCHEMA)  # noqa: SIM118 - no dict
lease_state = table(
    "lease_state",
    *(column(name) for name in ("environment", "run_id", "taken_at", "host", "pid", "start_ticks", "boot_id")),
    *(column(name) for name in ("pid_namespace", "beat_at", "actor", "operation")),
    schema=SCHEMA,
)
