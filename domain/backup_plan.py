"""What a run does about an environment's backups: take one and let old ones go, or restore one and ask it.

Which kinds of backup there are follows from where the data is. What is not taken by this version is named, never
skipped in silence.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.backup_bucket import BUCKET, name_bucket_backup
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
    taken = _list_taken(spec, now)
    if not taken:
        raise RefusedError(
            f"{spec.name} has nothing that could be backed up.",
            "Backups are taken of a database (a pair, or RDS's), and of media with a replica in the recovery region. "
            "`terrarium backup verify --file` verifies a dump that you took yourself.",
        )
    steps = [Step(name=take, arguments={"backup_id": backup_id}, no_undo=STAYS) for take, backup_id in taken.items()]
    new = [
        KnownBackup(id=one, kind=BUCKET if take == "list_media" else LOGICAL, taken_at=now)
        for take, one in taken.items()
    ]
    if expired := _list_expired([*known, *new], read_retention(spec)):
        steps.append(Step(name="expire_backups", arguments={"backup_ids": expired}, no_undo=STAYS))
    steps += [Step(name="publish_backup", arguments={"backup_id": one}, no_undo=TELLS) for one in taken.values()]
    return BackupPlan(steps=tuple(steps))


def _list_taken(spec: EnvironmentSpec, now: datetime) -> dict[str, str]:
    """Each step that takes something, and the id of what it takes; the database comes first."""
    backup_id = name_backup(spec.name, now)
    taken = {}
    if spec.data.database:
        taken["take_dump" if spec.data.has_pair else "take_rds_snapshot"] = backup_id
    if spec.data.media and spec.data.media.has_replica:
        taken["list_media"] = name_bucket_backup(backup_id)
    return taken


def _list_expired(backups: Sequence[KnownBackup], retention: Retention) -> list[str]:
    """Of the database's backups and of the listings of media, each by itself: one is not kept in place of the other."""
    listings = [one for one in backups if one.kind == BUCKET]
    others = [one for one in backups if one.kind != BUCKET]
    return [*decide_expired(others, retention), *decide_expired(listings, retention)]


def decide_verification(spec: EnvironmentSpec, known: Sequence[KnownBackup], wanted: str | None) -> BackupPlan:
    """Restore one, the newest of the database where none is named, and tell the verdict. RefusedError without one.

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
    newest = next((one.id for one in known if one.kind != BUCKET), known[0].id)
    backup_id = wanted or newest
    restore = _RESTORES.get(kinds[backup_id], _restore_here)(backup_id)
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


def _ask_replica(backup_id: str) -> tuple[Step, ...]:
    """Nothing is restored: the replica is there, and is looked at. What is fetched is the listing."""
    return (Step(name="ask_replica", arguments={"backup_id": backup_id}, undo=Undo(name="delete_scratch")),)


_RESTORES = {RDS_SNAPSHOT: _restore_snapshot, BUCKET: _ask_replica}


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
