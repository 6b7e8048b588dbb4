"""Scheduled backups: what each environment's file asks for, and how its runs are started."""

import uuid
from collections.abc import Iterator

from prefect import task
from prefect.deployments import run_deployment

from domain.backup_bucket import BUCKET
from domain.backup_schedule import DueBackup, Scheduled
from domain.spec import EnvironmentSpec
from domain.status import EnvironmentStatus, Operation
from tasks.ledger import ledger
from tasks.retry import REPEATABLE

ACTOR = "schedule"
FLOWS = {"backup": "take_backup/backup", "verify": "verify_backup/verify"}


def read_scheduled() -> list[Scheduled]:
    """The environments that are ready and whose file has a schedule of backups."""
    return list(_list_scheduled())


def _list_scheduled() -> Iterator[Scheduled]:
    for row in ledger().list_environments():
        if row.status is not EnvironmentStatus.READY or row.spec_version is None or row.ready_at is None:
            continue
        spec = EnvironmentSpec.model_validate_json(ledger().read_spec(row.name, row.spec_version).spec_json)
        backups = spec.data.database.backups if spec.data.database else None
        if backups is None or backups.schedule is None:
            continue
        newest = next(
            (one for one in ledger().list_backups(row.name) if one.lost_at is None and one.kind != BUCKET), None
        )
        asked = {one.backup_id for one in ledger().list_verdicts(row.name)}
        yield Scheduled(
            environment=row.name,
            schedule=backups.schedule,
            timezone=backups.timezone,
            ready_at=row.ready_at,
            newest_id=newest.id if newest else None,
            newest_at=newest.taken_at if newest else None,
            has_verdict=bool(newest and newest.id in asked),
        )


@task(**REPEATABLE)
def start_due(due: DueBackup) -> None:
    """Start the run that is due. Its request's id is made of what is due: once for each."""
    request_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"terrarium:{due.key}"))
    ledger().add_request(request_id, due.environment, Operation(due.action), None, None, ACTOR, f"due: {due.about}")
    run_deployment(
        FLOWS[due.action],
        parameters={"environment": due.environment} | ({"backup": due.about} if due.action == "verify" else {}),
        timeout=0,
        as_subflow=False,
        idempotency_key=request_id,
    )
