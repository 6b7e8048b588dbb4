"""Base backups of a pair with their WAL: taken, read back, restored and asked, let go. Undo stands below its act."""

import shutil
from pathlib import Path
from typing import Any

from prefect import task

from blocks.aws import AwsAccount
from blocks.aws_objects import measure_vault
from blocks.backup_vault import delete_backup, keep_manifest
from blocks.barman import fetch_base, take_base
from blocks.base_archive import UnreadableBaseError
from blocks.ledger.backups import BackupRow
from blocks.postgres.recovery_point import describe_point, wait_for_standby
from blocks.postgres.replication import read_primary
from blocks.process_folders import kill_workers
from blocks.scratch.physical import PhysicalBackup, hash_files
from blocks.scratch.verification import Wanted, verify_physical
from blocks.wal_copy import delete_wal, fetch_all_wal, fetch_wal, list_archived, wait_for_segments
from domain.backup import BackupVerdict, Manifest
from domain.backup_plan import name_folder
from domain.backup_wal import (
    PHYSICAL,
    decide_expired_wal,
    judge_unreadable,
    list_needed,
    name_history,
    read_label,
    read_timeline,
)
from domain.errors import PermanentError, TemporaryError
from domain.pair import DATABASE
from domain.status import Operation
from tasks.known_backup import record_backup, tell_backup
from tasks.ledger import ledger
from tasks.pair import find_programs, open_environments_pair
from tasks.retry import REPEATABLE
from tasks.run import Run

#: How long the uploader may take for the last segment.
ARCHIVE_SECONDS = 300.0
WORK, FETCHED = "barman", "fetched"


@task(**REPEATABLE)
def take_base_backup(run: Run, backup_id: str) -> dict[str, Any]:
    """Copy the primary's data into the vault, promise a position after it, read all of it back, and record it.

    Again: the same backup. Nothing of one that was not recorded counts, and it is removed before the next try.
    """
    if (known := ledger().read_backup(backup_id)) is not None:
        return tell_backup(known)
    delete_unrecorded.fn(run, backup_id)
    pair, folder = open_environments_pair(run), name_folder(run.environment, backup_id)
    primary = read_primary(pair)
    wait_for_standby(pair, primary)  # ahead: without one that should be there nothing is worth the copying
    take_base(run.account, pair, primary, folder, run.folder / WORK)
    promised = describe_point(pair, primary, backup_id)
    base, wal = _make_room(run)
    fetch_base(run.account, folder, base)
    manifest = promised.model_copy(
        update={
            "wal_from": read_label((base / "backup_label").read_text()).segment,
            "wal_archive": pair.record.archive_prefix,
        }
    )
    names = _list_wal(run, run.account, manifest)
    wait_for_segments(run.account, pair.record.archive_prefix, names, ARCHIVE_SECONDS)
    fetch_all_wal(run.account, pair.record.archive_prefix, names, wal)
    sealed = manifest.model_copy(update={"sha256": hash_files(base, wal)[0]})
    shutil.rmtree(run.folder / FETCHED)
    location = keep_manifest(run.account, folder, sealed.model_dump_json(exclude_none=True))
    size_bytes = measure_vault(run.account, f"{folder}/")[1]
    told = record_backup(run, backup_id, PHYSICAL, location, size_bytes, sealed)
    _refuse_without_wal(run, backup_id, sealed, names)
    return told


def _refuse_without_wal(run: Run, backup_id: str, manifest: Manifest, names: list[str]) -> None:
    """Now that it is on record nobody lets its WAL go. PermanentError where somebody did before: then it is none."""
    missing = sorted(set(names) - set(list_archived(run.account, manifest.wal_archive or "")))
    if missing:
        delete_backup(run.account, name_folder(run.environment, backup_id))
        ledger().mark_backup_lost(backup_id, run.environment, f"{missing[0]} is gone", run.run_id, run.actor)
        raise PermanentError(
            f"{run.environment}: the WAL archive lost {missing[0]} while a base backup was taken.",
            f"Nothing is kept of that backup. Take another one: `terrarium backup take {run.environment}`.",
        )


@task(**REPEATABLE)
def delete_unrecorded(run: Run, backup_id: str) -> None:
    """End what a dead run's barman still does, and remove what it kept of a backup that is not on record."""
    kill_workers(run.folder / WORK, f"barman of {backup_id}")
    shutil.rmtree(run.folder / FETCHED, ignore_errors=True)
    if ledger().read_backup(backup_id) is None:
        delete_backup(run.account, name_folder(run.environment, backup_id))


def verify_base(run: Run, row: BackupRow, wanted: Wanted, scratch: Path) -> BackupVerdict:
    """The verdict over a base backup, recovered to the position that it promises."""
    manifest, folder = wanted.manifest, name_folder(run.environment, row.id)
    base, wal = _make_room(run)
    reader = run.account.for_reading(f"{folder}/", manifest.wal_archive or "")
    try:
        fetch_base(reader, folder, base)
    except UnreadableBaseError as error:
        return judge_unreadable(error.summary, wanted.owed)
    names = _list_wal(run, reader, manifest)
    fetch_wal(reader, manifest.wal_archive or "", names, wal)
    backup = PhysicalBackup(base, wal, manifest.wal_position or "", DATABASE)
    return verify_physical(backup, wanted, scratch, find_programs())


@task(**REPEATABLE)
def expire_wal(run: Run) -> dict[str, Any]:
    """Let WAL go that is older than every base backup that is kept, in the archive of the pair as it is now.

    Not while another run takes one, for what that needs is on no record yet: then the next run lets it go.
    """
    if taking := _list_taking(run):  # looked for first: a backup that begins after this needs nothing that is older
        return {"expired_wal": 0, "waits_for": taking}
    prefix = open_environments_pair(run).record.archive_prefix
    kept = [Manifest.model_validate(row.manifest) for row in ledger().list_backups(run.environment) if _is_base(row)]
    starts = [one.wal_from or "" for one in kept if one.wal_archive == prefix]
    expired = decide_expired_wal(list_archived(run.account, prefix), starts)
    delete_wal(run.account, prefix, expired)
    return {"expired_wal": len(expired), "newest_expired_wal": max(expired, default=None)}


def _list_taking(run: Run) -> list[str]:
    """The other runs that back the environment up: backups take no lease, so there may be some."""
    live = [ledger().read_run(row.run_id) for row in ledger().list_live(run.environment) if row.run_id != run.run_id]
    return [row.run_id for row in live if row and row.operation == Operation.BACKUP]


def _is_base(row: BackupRow) -> bool:
    return row.kind == PHYSICAL and row.lost_at is None


def _make_room(run: Run) -> tuple[Path, Path]:
    """Where a base backup and its WAL are fetched to; neither is there yet."""
    fetched = run.folder / FETCHED
    shutil.rmtree(fetched, ignore_errors=True)
    fetched.mkdir(mode=0o700, parents=True)
    return fetched / "base", fetched / "wal"


def _list_wal(run: Run, account: AwsAccount, manifest: Manifest) -> list[str]:
    """The names of the segments that a backup needs, with the history of their timeline where it has one.

    TemporaryError where the roles changed while it was taken: then it is taken anew.
    """
    first, last = manifest.wal_from, manifest.wal_to
    if not (first and last and manifest.wal_archive):
        raise PermanentError(
            f"{run.environment}: the manifest of its base backup does not say which WAL it needs.",
            "It was not taken by this version: take another one.",
        )
    if read_timeline(first) != read_timeline(last):
        raise TemporaryError(
            f"{run.environment}: the roles of its pair changed while a base backup was taken.", "It is taken anew."
        )
    history = {name_history(first)} & set(list_archived(account, manifest.wal_archive))
    return [*history, *list_needed(first, last)]
