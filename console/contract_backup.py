"""The JSON about backups of environments; a part of the contract in console/contract.py."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from console.contract import Answer


class RestoreTest(Answer):
    """What a restore test said of a backup: `questions` has an answer to each, with its figures."""

    status: str = Field(description="passed, failed or incomplete.")
    questions: dict[str, Any]
    restore_seconds: float | None
    recovery_point_at: datetime | None
    at: datetime
    run_id: str


class EnvironmentBackup(Answer):
    """A backup of an environment's data. `verdict` is the newest one, null where it was never restored."""

    id: str
    environment: str
    kind: str = Field(description="logical, physical, rds-snapshot or bucket.")
    location: str
    sha256: str
    size_bytes: int
    taken_at: datetime
    run_id: str
    lost_at: datetime | None = Field(description="When it was let go; null while it is there.")
    verdict: RestoreTest | None


class EnvironmentBackups(Answer):
    """The backups of an environment, the newest first."""

    environment: str
    backups: list[EnvironmentBackup]


class BackupRequest(Answer):
    """Which kind is to be taken; null for what the environment's file says. Only a database pair has the choice."""

    kind: Literal["logical", "physical"] | None = None


class VerifyRequest(Answer):
    """Which backup is to be verified; the newest where none is named."""

    backup: str | None = Field(default=None, max_length=64)
