"""The tables that a team needs: tokens, approvals, holds, leases, pinned modules, and what lies in a vault."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)

from blocks.ledger.schema import SCHEMA, Time, column, metadata, seq

token = Table(
    "token",
    metadata,
    seq(),
    column("at", Time),
    Column("name", Text, nullable=False, unique=True),
    column("role"),
    Column("sha256", Text, nullable=False, unique=True),
    Column("expires_at", Time),
    column("actor"),
)
token_revocation = Table(
    "token_revocation",
    metadata,
    seq(),
    column("at", Time),
    Column("name", Text, ForeignKey(token.c.name), nullable=False, unique=True),
    column("actor"),
    column("reason"),
)
approval = Table(
    "approval",
    metadata,
    seq(),
    column("at", Time),
    column("plan_id"),
    column("environment"),
    column("digest"),
    column("actor"),
    column("reason"),
    column("expires_at", Time),
    Index("approval_plan", "plan_id", "seq"),
)
replacement = Table(  # a request allows that what holds data is replaced
    "replacement",
    metadata,
    seq(),
    column("at", Time),
    Column("request_id", Text, ForeignKey(f"{SCHEMA}.request.id"), nullable=False),
    column("environment"),
    column("address"),
    column("actor"),
    UniqueConstraint("request_id", "address"),
)
hold = Table(
    "hold",
    metadata,
    seq(),
    column("at", Time),
    column("environment"),
    column("expires_at", Time),
    column("actor"),
    column("reason"),
    Index("hold_environment", "environment", "seq"),
)
hold_release = Table(
    "hold_release",
    metadata,
    seq(),
    column("at", Time),
    Column("hold_seq", BigInteger, ForeignKey(hold.c.seq), nullable=False, unique=True),
    column("environment"),
    column("actor"),
    column("reason"),
)
takeover = Table(  # a lease that was taken from a run that is proved dead
    "takeover",
    metadata,
    seq(),
    column("at", Time),
    column("environment"),
    column("dead_run_id"),
    column("actor"),
    column("reason"),
)
module_pin = Table(  # the version of the Terraform modules that a generation keeps until it is upgraded
    "module_pin",
    metadata,
    seq(),
    column("at", Time),
    column("environment"),
    column("generation", Integer),
    column("digest"),
    column("location"),
    column("run_id"),
    column("actor"),
    ForeignKeyConstraint(
        ["environment", "generation"], [f"{SCHEMA}.generation.environment", f"{SCHEMA}.generation.number"]
    ),
    Index("module_pin_environment", "environment", "seq"),
)
vault_object = Table(  # an anchor of the chain or a backup of the databases, in the vault of an account
    "vault_object",
    metadata,
    seq(),
    column("at", Time),
    column("kind"),
    column("account"),
    column("location"),
    column("sha256"),
    column("head_seq", BigInteger),
    column("head_hash"),
    column("actor"),
)
vault_loss = Table(
    "vault_loss",
    metadata,
    seq(),
    column("at", Time),
    Column("object_seq", BigInteger, ForeignKey(vault_object.c.seq), nullable=False, unique=True),
    column("actor"),
    column("reason"),
)
liveness = Table(  # telemetry: a run's process and its last heartbeat, changed in place
    "liveness",
    metadata,
    Column("run_id", Text, primary_key=True),
    column("environment"),
    column("host"),
    column("pid", Integer),
    column("start_ticks", BigInteger),
    column("boot_id"),
    column("pid_namespace"),
    column("beat_at", Time),
)
lease = Table(
    "lease",
    metadata,
    Column("environment", Text, primary_key=True),
    Column("run_id", Text, nullable=False, unique=True),
    column("taken_at", Time),
)

CHAINED = (
    *(token, token_revocation, approval, replacement, hold, hold_release, takeover, module_pin),
    *(vault_object, vault_loss),
)
#: What the application may change in place.
MUTABLE = (liveness, lease)
