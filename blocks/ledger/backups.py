"""Backups and their verdicts: what was taken, what a restore test said of it, what is there no more."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from blocks.ledger.backup_tables import backup, backup_loss, verdict
from blocks.ledger.database import Database
from blocks.ledger.rows import Row
from domain.backup import BackupVerdict, Manifest
from domain.errors import PermanentError


class BackupRow(Row):
    """A backup; `lost_at` is set where it was let go, or its vault has it no more."""

    id: str
    environment: str
    kind: str
    account: str
    location: str
    sha256: str
    size_bytes: int
    manifest: dict[str, Any]
    taken_at: datetime
    run_id: str
    actor: str
    lost_at: datetime | None


class VerdictRow(Row):
    """What one restore test said of one backup."""

    backup_id: str
    environment: str
    at: datetime
    status: str
    questions: dict[str, Any]
    restore_seconds: float | None
    recovery_point_at: datetime | None
    run_id: str


class Backups(Database):
    """Recorded after the vault has them; the newest verdict of a backup counts."""

    def add_backup(  # the columns, each named where it is called
        self,
        backup_id: str,
        environment: str,
        *,
        kind: str,
        account: str,
        location: str,
        size_bytes: int,
        manifest: Manifest,
        taken_at: datetime,
        run_id: str,
        actor: str,
    ) -> bool:
        """Record a backup that the vault has; False where this one is on record."""
        row = {
            "id": backup_id,
            "environment": environment,
            "kind": kind,
            "account": account,
            "location": location,
            "sha256": manifest.sha256 or "",
            "size_bytes": size_bytes,
            "manifest": manifest.model_dump(mode="json", exclude_none=True),
            "taken_at": taken_at,
            "run_id": run_id,
            "actor": actor,
        }
        with self._append() as chain:
            if chain.fetch(select(backup.c.seq).where(backup.c.id == backup_id)):
                return False
            chain.append(backup, row, environment=environment, actor=actor, run_id=run_id, outcome=kind)
        return True

    def add_verdict(self, backup_id: str, found: BackupVerdict, run_id: str, actor: str) -> None:
        """Record what a restore test said. PermanentError for a backup that nobody knows."""
        told = found.to_json()
        with self._append() as chain:
            known = chain.fetch(select(backup.c.environment).where(backup.c.id == backup_id))
            if known is None:
                raise PermanentError(
                    f"There is no backup {backup_id}.",
                    "`terrarium backup list ENVIRONMENT` shows them.",
                )
            row = {
                "backup_id": backup_id,
                "environment": known.environment,
                "status": told["status"],
                "questions": told["questions"],
                "restore_seconds": found.restore_seconds,
                "recovery_point_at": found.recovery_point_at,
                "run_id": run_id,
                "actor": actor,
            }
            about = {"environment": known.environment, "actor": actor, "run_id": run_id, "reason": backup_id}
            chain.append(verdict, row, **about, outcome=told["status"])

    def mark_backup_lost(self, backup_id: str, environment: str, reason: str, run_id: str, actor: str) -> bool:
        """Record that a backup is there no more, and why; False where that is on record."""
        row = {
            "backup_id": backup_id,
            "environment": environment,
            "reason": reason,
            "run_id": run_id,
            "actor": actor,
        }
        with self._append() as chain:
            if chain.fetch(select(backup_loss.c.seq).where(backup_loss.c.backup_id == backup_id)):
                return False
            about = {"environment": environment, "actor": actor, "run_id": run_id, "reason": reason}
            chain.append(backup_loss, row, **about, outcome="lost")
        return True

    def list_backups(self, environment: str) -> list[BackupRow]:
        """Every backup that was ever taken of an environment, the newest first."""
        query = _select_backups().where(backup.c.environment == environment).order_by(backup.c.seq.desc())
        with self._read() as connection:
            return [BackupRow.model_validate(row) for row in connection.execute(query)]

    def read_backup(self, backup_id: str) -> BackupRow | None:
        """One backup; None where there is none of that id."""
        with self._read() as connection:
            row = connection.execute(_select_backups().where(backup.c.id == backup_id)).first()
        return BackupRow.model_validate(row) if row else None

    def list_verdicts(self, environment: str) -> list[VerdictRow]:
        """Every verdict on backups of an environment, the newest first."""
        query = select(verdict).where(verdict.c.environment == environment).order_by(verdict.c.seq.desc())
        with self._read() as connection:
            return [VerdictRow.model_validate(row) for row in connection.execute(query)]


def _select_backups() -> Select[Any]:
    lost = backup_loss.c.at.label("lost_at")
    return select(backup, lost).join(backup_loss, backup_loss.c.backup_id == backup.c.id, isouter=True)
