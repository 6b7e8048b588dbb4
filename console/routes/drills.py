"""Drills and failovers: started, approved and looked at. Each is a run; what it measured stands in its report."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from blocks.ledger.rows import RunRow
from console.auth import Asker
from console.contract import Run
from console.contract_drill import (
    Drill,
    DrillApproval,
    DrillApprovalRequest,
    DrillRequest,
    Drills,
    FailoverRequest,
)
from console.routes.asking import Asked, answer_once
from console.routes.plans import parse_spec
from console.routes.requests import read_environment, start_run
from console.routes.views import merge_run, show_run
from console.sources import Given, Sources, UnknownError
from domain.drill import name_drill
from domain.drill_report import DrillReport
from domain.rds_drill_report import RdsDrillReport
from domain.status import Operation, RunStatus

router = APIRouter(prefix="/api", tags=["drills"])
#: So many runs are looked through for so few drills.
LOOKED_THROUGH = 20


@router.post("/environments/{name}/drills", status_code=202)
def start_drill(sources: Given, asking: Asked, name: str, request: DrillRequest, response: Response) -> Run:
    """Start a drill. Whether it may happen now is decided by its run, which says so."""

    def start() -> Run:
        read_environment(sources, name)
        return start_run(sources, asking, name, Operation.DRILL, None, parameters=request.model_dump())

    return answer_once(response, sources, asking, start)


@router.post("/environments/{name}/drills/approve")
def approve_drill(sources: Given, caller: Asker, name: str, request: DrillApprovalRequest) -> DrillApproval:
    """Approve drills of this kind of a protected environment, as it is now. One's own approval does not count."""
    version = sources.ledger.read_made_version(name)
    if version is None:
        raise UnknownError(f"{name} was never made.", "`terrarium env list` shows those that were.")
    drill_id = name_drill(parse_spec(sources, name, version), request.mode, request.fault)
    expires_at = sources.read_clock() + timedelta(hours=sources.approval_hours)
    sources.ledger.add_approval(drill_id, name, drill_id, caller.name, request.reason, expires_at)
    return DrillApproval(
        environment=name, drill_id=drill_id, approver=caller.name, reason=request.reason, expires_at=expires_at
    )


@router.post("/environments/{name}/failover", status_code=202)
def fail_over(sources: Given, asking: Asked, name: str, request: FailoverRequest, response: Response) -> Run:
    """Fail over for real: no window, approval or hold is asked for. Refused by its run where writes may be lost."""

    def start() -> Run:
        read_environment(sources, name)
        parameters: dict[str, str | bool] = {"reason": request.reason, "accept_loss": request.accept_loss}
        return start_run(sources, asking, name, Operation.FAILOVER, None, parameters=parameters, reason=request.reason)

    return answer_once(response, sources, asking, start)


@router.get("/drills")
def get_drills(
    sources: Given, environment: str | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> Drills:
    """The newest drills, of all environments or of one."""
    rows = sources.ledger.list_runs(environment, LOOKED_THROUGH * limit)
    drills = [row for row in rows if row.operation is Operation.DRILL][:limit]
    return Drills(drills=[_show_drill(row, _merge(sources, row)) for row in drills])


@router.get("/drills/{run_id}")
def get_drill(sources: Given, run_id: str) -> Drill:
    """One drill: how far it is, or what it measured."""
    row = sources.ledger.read_run(run_id)
    run = show_run(sources, run_id)
    if run.operation != Operation.DRILL:
        raise UnknownError(f"Run {run_id} is no drill.", "`terrarium drill list` shows those that there were.")
    return _show_drill(row, run)


def _merge(sources: Sources, row: RunRow) -> Run:
    return merge_run(sources, row, None if row.status.is_final else sources.prefect.read_run(row.run_id))


def _show_drill(row: RunRow | None, run: Run) -> Drill:
    about = run.model_dump(include=set(Drill.model_fields) - {"status"})
    told = (row.report or {}).get("drill") if row else None
    if told is None:
        return Drill(**about, status=run.status.value if run.status is not RunStatus.SUCCEEDED else "failed")
    report = (RdsDrillReport if "not_measured" in told else DrillReport).model_validate(told)
    measured = report.model_dump(include=set(Drill.model_fields) - set(about))
    return Drill(**about | measured | {"status": report.status})
