"""What holds an environment's data: database, media bucket, queue and cache. A part that is absent is not made."""

from typing import Literal

from pydantic import Field

from domain.declared import Declared
from domain.quantity import Mebibytes


class Database(Declared):
    """An encrypted PostgreSQL."""

    engine: Literal["postgres"] = Field("postgres", description="postgres")
    version: str = Field(
        pattern=r"^[0-9]{2}(\.[0-9]{1,2})?$",
        description='a PostgreSQL version in quotes, such as "16" or "16.10" (unquoted, that is 16.1)',
    )
    has_replica: bool = Field(False, description="true for a read replica in the recovery region, else false")
    is_multi_zone: bool = Field(False, description="true for a standby in a second zone, else false")
    backup_retention_days: int = Field(
        7, ge=1, le=35, description="how many days of automatic backups are kept, from 1 to 35"
    )


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
    def present(self) -> tuple[str, ...]:
        """The names of the parts that the environment has."""
        return tuple(name for name in DATA_PARTS if getattr(self, name) is not None)


DATA_PARTS = tuple(Data.model_fields)
