"""What holds an environment's data: database, media bucket, queue and cache. A part that is absent is not made."""

from typing import Literal, Self

from pydantic import Field, model_validator

from domain.backup_part import Backups
from domain.declared import BrokenRule, Declared, quote, refuse
from domain.quantity import Mebibytes

#: What only one provider of a database knows.
RDS_KEYS = ("has_replica", "is_multi_zone", "backup_retention_days")
PAIR_KEYS = ("is_synchronous", "link_delay_ms", "example_rows")


class Database(Declared):
    """A PostgreSQL: RDS's, encrypted, or a pair of servers of our own, with its standby in the recovery region."""

    engine: Literal["postgres"] = Field("postgres", description="postgres")
    provider: Literal["rds", "postgres"] = Field(
        "rds", description="rds, or postgres for a primary and a standby that Terrarium runs itself"
    )
    version: str = Field(
        pattern=r"^[0-9]{2}(\.[0-9]{1,2})?$",
        description='a PostgreSQL version in quotes, such as "16" or "16.10" (unquoted, that is 16.1)',
    )
    has_replica: bool = Field(False, description="true for a read replica in the recovery region, else false")
    is_multi_zone: bool = Field(False, description="true for a standby in a second zone, else false")
    backup_retention_days: int = Field(
        7, ge=1, le=35, description="how many days of automatic backups are kept, from 1 to 35"
    )
    is_synchronous: bool = Field(
        False, description="true where a commit waits until the standby of a pair has applied it, else false"
    )
    link_delay_ms: int = Field(
        0,
        ge=0,
        le=5000,
        description="how late the two servers of a local pair hear of each other, in milliseconds from 0 to 5000",
    )
    example_rows: int = Field(
        0, ge=0, le=100_000_000, description="about how many rows of example data a new pair gets, from 0 to 100000000"
    )

    backups: Backups | None = Field(None, description="its backups: how many, and what they have to hold")

    @model_validator(mode="after")
    def _keys_fit_provider(self) -> Self:
        unknown = PAIR_KEYS if self.provider == "rds" else RDS_KEYS
        others = "postgres" if self.provider == "rds" else "rds"
        refuse(
            *(
                BrokenRule((key,), quote(getattr(self, key)), f"none, because only the provider {others} knows it")
                for key in unknown
                if getattr(self, key) != type(self).model_fields[key].default
            )
        )
        if self.provider == "rds" and self.backups and self.backups.kind == "physical":
            words = "logical, because RDS takes snapshots and lets nobody at its files"
            refuse(BrokenRule(("backups", "kind"), quote(self.backups.kind), words))
        return self

    @property
    def is_pair(self) -> bool:
        """A primary and a standby of our own, not RDS's."""
        return self.provider == "postgres"


class Media(Declared):
    """A versioned, encrypted bucket."""

    has_replica: bool = Field(False, description="true for a copy in the recovery region, else false")
    noncurrent_days: int = Field(
        30, ge=1, le=3650, description="how many days an overwritten object is kept, from 1 to 3650"
    )


class Queue(Declared):
    """A queue with dead letters."""

    retention_days: int = Field(4, ge=1, le=14, description="how many days a message is kept, from 1 to 14")
    max_receives: int = Field(
        5, ge=1, le=1000, description="how often a message is tried before it is a dead letter, from 1 to 1000"
    )


class Cache(Declared):
    """An in-memory cache."""

    engine: Literal["valkey", "redis"] = Field("valkey", description="valkey or redis")
    memory_mebibytes: Mebibytes = Field(alias="memory", description="the memory of the cache, such as 256Mi or 2Gi")


class Data(Declared):
    """The data parts of an environment."""

    database: Database | None = Field(None, description="the PostgreSQL database")
    media: Media | None = Field(None, description="the bucket of media files")
    queue: Queue | None = Field(None, description="the queue of work")
    cache: Cache | None = Field(None, description="the cache")

    @property
    def has_pair(self) -> bool:
        """The database is a pair of servers of our own."""
        return self.database is not None and self.database.is_pair

    @property
    def present(self) -> tuple[str, ...]:
        """The names of the parts that the environment has."""
        return tuple(name for name in DATA_PARTS if getattr(self, name) is not None)


DATA_PARTS = tuple(Data.model_fields)
