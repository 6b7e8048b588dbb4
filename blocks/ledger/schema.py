"""What all tables of the ledger share: their schema, the types of their columns, and the event that each record has."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.types import TypeEngine

SCHEMA = "ledger"
REVISION = "0004"  # the schema that this code was written for

metadata = MetaData(schema=SCHEMA)
Time = DateTime(timezone=True)
Json = JSON(none_as_null=True)  # not JSONB: the text stays as it was hashed


def column(name: str, kind: type[TypeEngine[Any]] | TypeEngine[Any] = Text) -> Column[Any]:
    """A column that is never null."""
    return Column(name, kind, nullable=False)


event = Table(
    "event",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    column("at", Time),
    column("actor"),
    column("kind"),
    column("environment"),
    column("run_id"),
    column("reason"),
    column("outcome"),
    column("inputs_sha256"),
    column("prev_hash"),
    Column("hash", Text, nullable=False, unique=True),
    Index("event_environment", "environment", "seq"),
)


def seq() -> Column[int]:
    """The number of the event that was written with the record."""
    return Column("seq", BigInteger, ForeignKey(event.c.seq), primary_key=True, autoincrement=False)
