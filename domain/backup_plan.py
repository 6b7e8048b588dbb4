"""What a run does about an environment's backups: take one and let old ones go, or restore one and ask it.

Which kinds of backup there are follows from where the data is. What is not taken by this version is named, never
skipped in silence.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from domain.backup_bucket import BUCKET, name_bucket_backup
from domain.backup_snapshot import RDS_SNAPSHOT
from domain.backup_upkeep import Kind, KnownBackup, Retention, decide_expired
from domain.backup_wal import PHYSICAL
from domain.errors import RefusedError
from domain.expectations import Expectation
from domain.spec import EnvironmentSpec
from domain.step import Step, Undo

LOGICAL: Final = "logical"
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


def decide_take(
    spec: EnvironmentSpec, known: Sequence[KnownBackup], now: datetime, kind: str | None = None
) -> BackupPlan:
    """Take one, then let go those that the retention no longer keeps. RefusedError where nothing can be taken.

    `kind` is what was asked for, in place of what the environment's file says.
    """
    taken = _list_taken(spec, now, kind)
    if not taken:
        raise RefusedError(
            f"{spec.name} has nothing that could be backed up.",
            "Backups are taken of a database (a pair, or RDS's), and of media with a replica in the recovery region. "
            "`terrarium backup verify --file` verifies a dump that you took yourself.",
        )
    steps = [TAKES[one.kind](one.id) for one in taken]
    if expired := _list_expired([*known, *taken], read_retention(spec)):
        steps.append(Step(name="expire_backups", arguments={"backup_ids": expired}, no_undo=STAYS))
    if any(one.kind == PHYSICAL for one in taken):
        steps.append(Step(name="expire_wal", no_undo="What it deletes no backup needs any more."))
    steps += [Step(name="publish_backup", arguments={"backup_id": one.id}, no_undo=TELLS) for one in taken]
    return BackupPlan(steps=tuple(steps))


def _list_taken(spec: EnvironmentSpec, now: datetime, asked: str | None) -> list[KnownBackup]:
    """What will be taken; the database comes first."""
    backup_id, kind = name_backup(spec.name, now), _choose_kind(spec, asked)
    taken = [KnownBackup(id=backup_id, kind=kind, taken_at=now)] if kind else []
    if spec.data.media and spec.data.media.has_replica:
        taken.append(KnownBackup(id=name_bucket_backup(backup_id), kind=BUCKET, taken_at=now))
    return taken


def _choose_kind(spec: EnvironmentSpec, asked: str | None) -> Kind | None:
    """Of the database: what was asked for, else what its file says; None without one. RefusedError where it cannot."""
    if asked not in (None, LOGICAL, PHYSICAL):
        raise RefusedError(
            f"{spec.name}: there are no backups of the kind {asked!r}.", "Choose logical (a dump) or physical."
        )
    database = spec.data.database
    if database and database.is_pair:
        said: Kind = database.backups.kind if database.backups else LOGICAL
        return PHYSICAL if (asked or said) == PHYSICAL else LOGICAL
    if asked:
        raise RefusedError(
            f"{spec.name} has no database pair of which a {asked} backup could be taken.",
            "Leave the kind away: of RDS a snapshot is taken. Both kinds are for `database.provider: postgres`.",
        )
    return RDS_SNAPSHOT if database else None


def _take(name: str, backup_id: str) -> Step:
    return Step(name=name, arguments={"backup_id": backup_id}, no_undo=STAYS)


def _take_base(backup_id: str) -> Step:
    """The one that is written in parts, while it is taken: what was not recorded is removed again."""
    about = {"backup_id": backup_id}
    return Step(name="take_base_backup", arguments=about, undo=Undo(name="delete_unrecorded", arguments=about))


#: The step that takes each kind.
TAKES: dict[Kind, Callable[[str], Step]] = {
    LOGICAL: partial(_take, "take_dump"),
    PHYSICAL: _take_base,
    RDS_SNAPSHOT: partial(_take, "take_rds_snapshot"),
    BUCKET: partial(_take, "list_media"),
}


def _list_expired(backups: Sequence[KnownBackup], retention: Retention) -> list[str]:
    """Of each kind by itself: one is not kept in place of another."""
    by_kind = [[one for one in backups if one.kind == kind] for kind in TAKES]
    return [expired for found in by_kind for expired in decide_expired(found, retention)]


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
