"""Snapshots of an environment's RDS database: taken, restored to a temporary instance, asked, let go."""

from datetime import timedelta
from typing import Any

from prefect import task

from blocks.ledger.backups import BackupRow
from blocks.rds import (
    create_snapshot,
    delete_snapshot,
    list_snapshots,
    read_instance,
    read_snapshot,
    restore_snapshot,
)
from domain.backup import Manifest
from domain.backup_snapshot import RDS_SNAPSHOT, describe_snapshot, judge_restored
from domain.errors import PermanentError, RefusedError
from domain.rds import (
    AVAILABLE,
    Instance,
    Snapshot,
    is_ours,
    list_tags,
    name_instance,
    name_snapshot,
    name_temporary,
)
from tasks.known_backup import record_backup
from tasks.ledger import ledger
from tasks.retry import REPEATABLE
from tasks.run import Run, read_clock
from tasks.temporary_instance import delete_left, delete_own


@task(**REPEATABLE)
def take_rds_snapshot(run: Run, backup_id: str) -> dict[str, Any]:
    """Take a manual snapshot, wait until it is available, and record it. Again: the same one.

    One that a dead run took and could not record is recorded first, so that its retention finds it.
    """
    instance = _find_instance(run)
    _record_left(run, instance)
    tags = list_tags(run.spec, "backup", run.run_id) | {"backup": backup_id}
    snapshot = create_snapshot(run.account, run.spec.region, name_snapshot(backup_id), instance.id, tags)
    if snapshot.status != AVAILABLE:
        raise PermanentError(
            f"{run.environment}: its snapshot {snapshot.id} is {snapshot.status}.",
            "See the events of the instance in the AWS console, and take another one.",
        )
    return _record(run, backup_id, snapshot)


def _record_left(run: Run, instance: Instance) -> None:
    known = {name_snapshot(row.id) for row in ledger().list_backups(run.environment)}
    for left in list_snapshots(run.account, run.spec.region, instance.id):
        backup_id = left.tags.get("backup", "")
        is_own = is_ours(left.tags, run.environment, "backup") and name_snapshot(backup_id) == left.id
        if is_own and left.id not in known and left.status == AVAILABLE:
            _record(run, backup_id, left)


def _record(run: Run, backup_id: str, snapshot: Snapshot) -> dict[str, Any]:
    size_bytes = snapshot.storage_gib * 2**30
    return record_backup(
        run, backup_id, RDS_SNAPSHOT, snapshot.arn, size_bytes, describe_snapshot(snapshot),
        snapshot.created_at, snapshot.tags.get("run", ""),
    )  # fmt: skip


def _find_instance(run: Run) -> Instance:
    """The environment's database; RefusedError where its account has none, as for one that only keeps records."""
    name = name_instance(run.environment)
    found = read_instance(run.account, run.spec.region, name)
    if found is None:
        raise RefusedError(
            f"{run.environment}: account {run.account.name} has no RDS instance {name} in {run.spec.region}.",
            f"`terrarium env apply {run.environment}` makes it, where the environment is on `cloud: aws`.",
        )
    return found


def expire_snapshot(run: Run, backup_id: str) -> str:
    """Let a snapshot go and say so; one whose tags do not say that it is ours is left alone."""
    name = name_snapshot(backup_id)
    found = read_snapshot(run.account, run.spec.region, name)
    if found is None:
        return "it was gone"
    if not is_ours(found.tags, run.environment, "backup"):
        return "left alone: its tags are no longer ours"
    delete_snapshot(run.account, run.spec.region, name)
    return "let go by its retention"


@task(**REPEATABLE)
def restore_rds_snapshot(run: Run, backup_id: str) -> dict[str, Any]:
    """Restore a snapshot to a temporary, private instance of this run; what ended runs left is deleted first."""
    delete_left(run, run.spec.region, "restore-test")
    name, region = name_temporary(run.environment, "restore-test", run.run_id), run.spec.region
    if read_snapshot(run.account, region, name_snapshot(backup_id)) is None:
        return {"instance": None}
    began_at = read_clock()
    restored = restore_snapshot(
        run.account, region, name_snapshot(backup_id), name, _find_instance(run),
        list_tags(run.spec, "restore-test", run.run_id),
    )  # fmt: skip
    seconds = (read_clock() - began_at) / timedelta(seconds=1)
    return {"instance": restored.id, "restore_seconds": seconds}


@task(**REPEATABLE)
def delete_restored(run: Run) -> None:
    """Delete the temporary instances of this run, by their tags. Gone is gone."""
    delete_own(run, run.spec.region, "restore-test")


@task(**REPEATABLE)
def ask_restored(run: Run, backup_id: str) -> dict[str, Any]:
    """Hold what AWS tells of the snapshot and of the restored instance against the manifest; record the verdict."""
    row = ledger().read_backup(backup_id)
    assert row is not None, "the plan was made of what the ledger has"
    verdict = judge_restored(
        Manifest.model_validate(row.manifest),
        read_snapshot(run.account, run.spec.region, name_snapshot(row.id)),
        _read_restored(run),
        _read_seconds(run),
        is_emulated=run.account.kind == "emulator",
    )
    ledger().add_verdict(backup_id, verdict, run.run_id, run.actor)
    return {"verdict": verdict.to_json(), "backup_id": backup_id}


def _read_restored(run: Run) -> Instance | None:
    name = name_temporary(run.environment, "restore-test", run.run_id)
    return read_instance(run.account, run.spec.region, name)


def _read_seconds(run: Run) -> float | None:
    details = [step.detail or {} for step in ledger().read_steps(run.run_id) if step.name == "restore_rds_snapshot"]
    return next((detail["restore_seconds"] for detail in details if "restore_seconds" in detail), None)


def is_snapshot(row: BackupRow) -> bool:
    """Whether a backup is one that RDS keeps."""
    return row.kind == RDS_SNAPSHOT
