"""What a run does about an environment's backups: take one and let old ones go, or restore one and ask it.

Which kinds of backup there are follows from where the data is. What is not taken by this version is named, never
skipped in silence.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.backup_snapshot import RDS_SNAPSHOT
from domain.backup_upkeep import KnownBackup, Retention, decide_expired
from domain.errors import RefusedError
from domain.expectations import Expectation
from domain.spec import EnvironmentSpec
from domain.step import Step, Undo

LOGICAL = "logical"
STAYS = "A backup that is in the vault stays there: what was taken is let go by its retention alone."
TELLS = "It only tells."


class BackupPlan(BaseModel):
    """The steps of a run."""

    model_config = ConfigDict(frozen=True)

    steps: tuple[Step, ...]


def name_backup(environment: str, at: datetime) -> str:
    """The id of a backup: readable, and in the order of time."""
    return f"{environment}-{at:%Y%m%dT%H%M%SZ}"


def name_folder(environment: str, backup_id: str) -> str:
    """Where a backup is in its account's vault."""
    return f"backups/{environment}/{backup_id}"


def decide_take(spec: EnvironmentSpec, known: Sequence[KnownBackup], now: datetime) -> BackupPlan:
    """Take one, then let go those that the retention no longer keeps. RefusedError where nothing can be taken."""
    _refuse_without_database(spec)
    backup_id = name_backup(spec.name, now)
    expired = decide_expired([*known, KnownBackup(id=backup_id, taken_at=now)], read_retention(spec))
    take = "take_dump" if spec.data.has_pair else "take_rds_snapshot"
    steps = [Step(name=take, arguments={"backup_id": backup_id}, no_undo=STAYS)]
    if expired:
        steps.append(Step(name="expire_backups", arguments={"backup_ids": expired}, no_undo=STAYS))
    steps.append(Step(name="publish_backup", arguments={"backup_id": backup_id}, no_undo=TELLS))
    return BackupPlan(steps=tuple(steps))


def decide_verification(spec: EnvironmentSpec, known: Sequence[KnownBackup], wanted: str | None) -> BackupPlan:
    """Restore one, the newest where none is named, and tell the verdict. RefusedError where there is none.

    `known` are the backups that are there, the newest first.
    """
    kinds = {one.id: one.kind for one in known}
    if wanted is not None and wanted not in kinds:
        raise RefusedError(
            f"{spec.name} has no backup {wanted}.", f"`terrarium backup list {spec.name}` shows those that it has."
        )
    if not known:
        raise RefusedError(
            f"{spec.name} has no backup that could be verified.", f"Take one: `terrarium backup take {spec.name}`."
        )
    backup_id = wanted or known[0].id
    restore = _restore_snapshot(backup_id) if kinds[backup_id] == RDS_SNAPSHOT else _restore_here(backup_id)
    return BackupPlan(steps=(*restore, Step(name="publish_verdict", arguments={"backup_id": backup_id}, no_undo=TELLS)))


def _restore_here(backup_id: str) -> tuple[Step, ...]:
    about = {"backup_id": backup_id}
    return (Step(name="restore_and_ask", arguments=about, undo=Undo(name="delete_scratch")),)


def _restore_snapshot(backup_id: str) -> tuple[Step, ...]:
    """By AWS itself, to an instance that is deleted at the end, or by the undo of a run that did not come to it."""
    about = {"backup_id": backup_id}
    return (
        Step(name="restore_rds_snapshot", arguments=about, undo=Undo(name="delete_restored")),
        Step(name="ask_restored", arguments=about, no_undo="It only reads."),
        Step(name="delete_restored", no_undo="What it deletes was made for this run alone."),
    )


def read_retention(spec: EnvironmentSpec) -> Retention:
    """How many backups an environment keeps."""
    backups = spec.data.database.backups if spec.data.database else None
    if backups is None:
        return Retention()
    return Retention(days=backups.keep_days, weeks=backups.keep_weeks, months=backups.keep_months)


def read_suites(spec: EnvironmentSpec) -> dict[str, list[Expectation]]:
    """What its team expects of each table."""
    backups = spec.data.database.backups if spec.data.database else None
    found: dict[str, Sequence[dict[str, Any]]] = dict(backups.expectations) if backups else {}
    return {
        table: [Expectation(type=str(one["type"]), arguments=dict(one.get("kwargs", {}))) for one in suite]
        for table, suite in found.items()
    }


def read_invariants(spec: EnvironmentSpec) -> dict[str, str]:
    """The rules of its business: queries that return what breaks them."""
    backups = spec.data.database.backups if spec.data.database else None
    return dict(backups.invariants) if backups else {}


def _refuse_without_database(spec: EnvironmentSpec) -> None:
    if spec.data.database is None:
        raise RefusedError(
            f"{spec.name} has no database that could be backed up.",
            "Backups are taken of a database: a pair (database.provider: postgres) or RDS's. "
            "`terrarium backup verify --file` verifies a dump that you took yourself.",
        )
