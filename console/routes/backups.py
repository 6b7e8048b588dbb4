"""Backups of an environment: have one taken, have one verified, and what there is."""

from fastapi import APIRouter, Response

from blocks.ledger.backups import BackupRow, VerdictRow
from console.contract import Run
from console.contract_backup import BackupRequest, EnvironmentBackup, EnvironmentBackups, RestoreTest, VerifyRequest
from console.routes.asking import Asked, answer_once
from console.routes.requests import read_environment, start_run
from console.sources import Given
from domain.status import Operation

router = APIRouter(prefix="/api/environments", tags=["backups"])


@router.get("/{name}/backups")
def list_backups(sources: Given, name: str) -> EnvironmentBackups:
    """Every backup that was taken, the newest first, each with its newest verdict."""
    read_environment(sources, name)
    verdicts = {row.backup_id: row for row in reversed(sources.ledger.list_verdicts(name))}
    backups = [show_backup(row, verdicts.get(row.id)) for row in sources.ledger.list_backups(name)]
    return EnvironmentBackups(environment=name, backups=backups)


@router.post("/{name}/backups", status_code=202)
def take_backup(
    sources: Given, asking: Asked, name: str, response: Response, request: BackupRequest | None = None
) -> Run:
    """Start the run that takes one."""

    def start() -> Run:
        version = read_environment(sources, name).spec_version
        wanted = {"kind": request.kind} if request and request.kind else {}
        return start_run(sources, asking, name, Operation.BACKUP, version, parameters=wanted)

    return answer_once(response, sources, asking, start)


@router.post("/{name}/backups/verify", status_code=202)
def verify_backup(
    sources: Given, asking: Asked, name: str, response: Response, request: VerifyRequest | None = None
) -> Run:
    """Start the run that restores one and asks it the five questions."""

    def start() -> Run:
        version = read_environment(sources, name).spec_version
        wanted = {"backup": request.backup} if request and request.backup else {}
        return start_run(sources, asking, name, Operation.VERIFY, version, parameters=wanted)

    return answer_once(response, sources, asking, start)


def show_backup(row: BackupRow, found: VerdictRow | None) -> EnvironmentBackup:
    """A row of the ledger as the API tells it."""
    told = {name: getattr(row, name) for name in EnvironmentBackup.model_fields if name != "verdict"}
    return EnvironmentBackup(**told, verdict=_show_verdict(found) if found else None)


def _show_verdict(row: VerdictRow) -> RestoreTest:
    return RestoreTest(**{name: getattr(row, name) for name in RestoreTest.model_fields})
