"""Backups as the ledger knows them: listed, read, and recorded once the vault has them."""

from datetime import datetime
from pathlib import Path
from typing import Any

from blocks.backup_vault import keep_backup
from blocks.ledger.backups import BackupRow
from domain.backup import Manifest, VerdictStatus
from domain.backup_plan import name_folder
from domain.backup_upkeep import Kind, KnownBackup
from domain.errors import PermanentError
from tasks.ledger import ledger
from tasks.run import Run, read_clock


def list_known(run: Run) -> list[KnownBackup]:
    """The backups that are there, the newest first, each with its newest verdict."""
    verdicts = {row.backup_id: row for row in reversed(ledger().list_verdicts(run.environment))}
    return [
        KnownBackup.model_validate(
            {
                "id": row.id,
                "taken_at": row.taken_at,
                "kind": row.kind,
                "status": VerdictStatus(verdicts[row.id].status) if row.id in verdicts else None,
                "verified_at": verdicts[row.id].at if row.id in verdicts else None,
            }
        )
        for row in ledger().list_backups(run.environment)
        if row.lost_at is None
    ]


def read_backup(backup_id: str) -> BackupRow:
    """One backup. PermanentError where there is none of that id."""
    row = ledger().read_backup(backup_id)
    if row is None:
        raise PermanentError(f"There is no backup {backup_id}.", "`terrarium backup list ENVIRONMENT` shows them.")
    return row


def keep_and_record(
    run: Run, backup_id: str, kind: Kind, file: Path, manifest: Manifest, size_bytes: int | None = None
) -> dict[str, Any]:
    """Keep a file in the vault with its manifest, then record it; it is removed here. `size_bytes`: else its own."""
    size_bytes = file.stat().st_size if size_bytes is None else size_bytes
    folder = name_folder(run.environment, backup_id)
    location = keep_backup(run.account, folder, file, manifest.model_dump_json(exclude_none=True))
    file.unlink()
    return record_backup(run, backup_id, kind, location, size_bytes, manifest)


def record_backup(
    run: Run,
    backup_id: str,
    kind: Kind,
    location: str,
    size_bytes: int,
    manifest: Manifest,
    taken_at: datetime | None = None,
    run_id: str = "",
) -> dict[str, Any]:
    """Record a backup that is kept; `run_id` is of the run that took it, where that is another one."""
    ledger().add_backup(
        backup_id,
        run.environment,
        kind=kind,
        account=run.account.name,
        location=location,
        size_bytes=size_bytes,
        manifest=manifest,
        taken_at=taken_at or manifest.taken_at or read_clock(),
        run_id=run_id or run.run_id,
        actor=run.actor,
    )
    return {"backup_id": backup_id, "location": location, "size_bytes": size_bytes}


def tell_backup(row: BackupRow) -> dict[str, Any]:
    """What a step tells of a backup that is on record."""
    return {"backup_id": row.id, "location": row.location, "size_bytes": row.size_bytes}
