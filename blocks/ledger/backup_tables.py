"""The tables of backups: what was taken, what a restore test said of it, and which were let go."""

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Table, Text

from blocks.ledger.schema import Json, Time, column, metadata, seq

backup = Table(
    "backup",
    metadata,
    seq(),
    column("at", Time),
    Column("id", Text, nullable=False, unique=True),
    column("environment"),
    column("kind"),
    column("account"),
    column("location"),
    column("sha256"),
    column("size_bytes", BigInteger),
    column("manifest", Json),
    column("taken_at", Time),
    column("run_id"),
    column("actor"),
    Index("backup_environment", "environment", "seq"),
)
verdict = Table(
    "verdict",
    metadata,
    seq(),
    column("at", Time),
    Column("backup_id", Text, ForeignKey(backup.c.id), nullable=False),
    column("environment"),
    column("status"),
    column("questions", Json),
    Column("restore_seconds", Float(53)),
    Column("recovery_point_at", Time),
    column("run_id"),
    column("actor"),
    Index("verdict_backup", "backup_id", "seq"),
)
backup_loss = Table(  # a backup that was let go, or that its vault has no more
    "backup_loss",
    metadata,
    seq(),
    column("at", Time),
    Column("backup_id", Text, ForeignKey(backup.c.id), nullable=False, unique=True),
    column("environment"),
    column("reason"),
    column("run_id"),
    column("actor"),
)

CHAINED = (backup, verdict, backup_loss)
