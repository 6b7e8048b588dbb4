"""Backups of an environment: taken into its account's vault, let go, restored and asked. Undo stands below its act."""

import hashlib
import shutil
from collections.abc import Container
from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from blocks.backup_vault import delete_backup, fetch_backup
from blocks.ledger.backups import BackupRow
from blocks.postgres.snapshot import take_snapshot
from blocks.scratch.verification import Wanted, verify_dump
from domain.backup import BackupVerdict, Manifest, VerdictStatus
from domain.backup_bucket import BUCKET
from domain.backup_plan import LOGICAL, name_folder, read_invariants, read_suites
from domain.backup_report import render_backup, render_verdict
from domain.backup_upkeep import Alarm, PastRestore, compute_trend, list_alarms
from domain.backup_wal import PHYSICAL
from domain.errors import PermanentError
from tasks.backup_snapshot import expire_snapshot, is_snapshot
from tasks.base_backup import verify_base
from tasks.known_backup import keep_and_record, list_known, read_backup, tell_backup
from tasks.ledger import ledger
from tasks.pair import find_programs, open_environments_pair
from tasks.retry import REPEATABLE
from tasks.run import Run, read_clock

SCRATCH = "scratch"


@task(**REPEATABLE)
def take_dump(run: Run, backup_id: str) -> dict[str, Any]:
    """Dump the database, keep dump and manifest in the vault, encrypted, and record it. Again: the same backup.

    Nothing of a backup that was not recorded counts: its manifest is written last.
    """
    if (known := ledger().read_backup(backup_id)) is not None:
        return tell_backup(known)
    run.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = run.folder / "backup"
    manifest = take_snapshot(open_environments_pair(run), file)
    with file.open("rb") as content:
        sealed = manifest.model_copy(update={"sha256": hashlib.file_digest(content, "sha256").hexdigest()})
    return keep_and_record(run, backup_id, LOGICAL, file, sealed)


@task(**REPEATABLE)
def expire_backups(run: Run, backup_ids: list[str]) -> dict[str, Any]:
    """Let backups go that the retention no longer keeps; the vault's own retention keeps their versions for a while."""
    for backup_id in backup_ids:
        if is_snapshot(read_backup(backup_id)):
            told = expire_snapshot(run, backup_id)
        else:
            delete_backup(run.account, name_folder(run.environment, backup_id))
            told = "let go by its retention"
        ledger().mark_backup_lost(backup_id, run.environment, told, run.run_id, run.actor)
    return {"expired": backup_ids}


@task(**REPEATABLE)
def publish_backup(run: Run, backup_id: str) -> dict[str, Any]:
    """Tell what was taken, as an artifact."""
    row = read_backup(backup_id)
    text = render_backup(row.id, row.location, row.size_bytes, Manifest.model_validate(row.manifest))
    create_markdown_artifact(text, key=f"backup-{run.environment}", description="What was taken.")
    return {}


@task(**REPEATABLE)
def restore_and_ask(run: Run, backup_id: str) -> dict[str, Any]:
    """Fetch a backup, restore it into a scratch server, ask the five questions, and record the verdict.

    What is fetched is fetched by a session that may only read it.
    """
    row = read_backup(backup_id)
    delete_scratch.fn(run)
    taken_at = row.taken_at
    wanted = Wanted(
        manifest=Manifest.model_validate(row.manifest),
        suites=read_suites(run.spec),
        invariants=read_invariants(run.spec),
        parameters={"taken_at": taken_at.isoformat(), "now": read_clock().isoformat()},
    )
    verdict = _VERIFIES.get(row.kind, _verify_dump)(run, row, wanted, run.folder / SCRATCH)
    shutil.rmtree(run.folder / "fetched")
    ledger().add_verdict(backup_id, verdict, run.run_id, run.actor)
    return {"verdict": verdict.to_json(), "backup_id": backup_id}


def _verify_dump(run: Run, row: BackupRow, wanted: Wanted, scratch: Path) -> BackupVerdict:
    fetched = run.folder / "fetched"
    fetched.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = name_folder(run.environment, row.id)
    file = fetch_backup(run.account.for_reading(f"{folder}/"), folder, fetched)
    return verify_dump(file, wanted, scratch, find_programs())


_VERIFIES = {PHYSICAL: verify_base}


@task(**REPEATABLE)
def delete_scratch(run: Run) -> None:
    """Remove what a restore has left: its processes ended with the run. Gone is gone."""
    for name in (SCRATCH, "fetched"):
        shutil.rmtree(run.folder / name, ignore_errors=True)


@task(**REPEATABLE)
def publish_verdict(run: Run, backup_id: str) -> dict[str, Any]:
    """Tell the verdict and its alarms, as an artifact. PermanentError where the backup is not proved."""
    is_listing = _is_listing(read_backup(backup_id).kind)
    about = {row.id for row in ledger().list_backups(run.environment) if _is_listing(row.kind) == is_listing}
    found = [row for row in ledger().list_verdicts(run.environment) if row.backup_id in about]
    newest = next(row for row in found if row.backup_id == backup_id)
    verdict = BackupVerdict.model_validate(
        {name: getattr(newest, name) for name in ("status", "questions", "restore_seconds", "recovery_point_at")}
    )
    restores = [PastRestore(at=row.at, status=row.status, restore_seconds=row.restore_seconds) for row in found]
    alarms = _list_alarms(run, restores, about)
    for alarm in alarms:
        get_run_logger().warning("%s %s", alarm.summary, alarm.resolution)
    text = render_verdict(backup_id, verdict, compute_trend(restores), alarms)
    create_markdown_artifact(text, key=f"verdict-{run.environment}", description="What a restore test found.")
    return {"alarms": [alarm.summary for alarm in alarms]}


def refuse_unproved(run: Run) -> None:
    """PermanentError where the run's backup was not proved: such a run has not succeeded."""
    details = [step.detail or {} for step in ledger().read_steps(run.run_id)]
    told = next(detail["verdict"] for detail in details if "verdict" in detail)
    if told["status"] != VerdictStatus.PASSED:
        faults = [fault for found in told["questions"].values() for fault in found["faults"]]
        unasked = [found["unasked"] for found in told["questions"].values() if found["unasked"]]
        raise PermanentError(
            f"{run.environment}: its backup is {told['status']}: {(faults or unasked or ['nothing was asked'])[0]}",
            "The artifact of the run has every answer. Take another backup once the cause is mended.",
        )


def _is_listing(kind: str) -> bool:
    """A bucket's replica that is proved says nothing of the database, and the other way round."""
    return kind == BUCKET


def _list_alarms(run: Run, restores: list[PastRestore], about: Container[str]) -> list[Alarm]:
    known = [one for one in list_known(run) if one.id in about]
    proved = [one.taken_at for one in known if one.status == VerdictStatus.PASSED]
    recovery = run.spec.recovery
    max_age, rto = timedelta(hours=recovery.backup_max_age_hours), timedelta(minutes=recovery.rto_minutes)
    return list_alarms(run.environment, restores, max(proved, default=None), read_clock(), max_age, rto)
