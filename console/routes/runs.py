"""Runs: list, show, follow, stop and repeat."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from console.access import LEAST_ROLE
from console.auth import Asker, refuse_smaller
from console.contract import LogLine, LogLines, Run, Runs
from console.routes.asking import Asked, Asking, answer_once
from console.routes.requests import read_environment, start_run, start_teardown
from console.routes.views import list_runs, show_run
from console.sources import Given, Sources, UnknownError
from domain.access import Caller
from domain.errors import PermanentError
from domain.status import Operation, RunStatus
from domain.teardown import refuse_newer_life

router = APIRouter(prefix="/api/runs", tags=["runs"])


@router.get("")
def get_runs(sources: Given, environment: str | None = None, limit: Annotated[int, Query(ge=1, le=500)] = 20) -> Runs:
    """The newest runs, of all environments or of one."""
    return Runs(runs=list_runs(sources, environment, limit))


@router.get("/{run_id}")
def get_run(sources: Given, run_id: str) -> Run:
    """One run: how far it is, or how it ended."""
    return show_run(sources, run_id)


@router.get("/{run_id}/logs")
def get_logs(sources: Given, run_id: str, after: AwareDatetime | None = None) -> LogLines:
    """Log lines of a run at or after a time, oldest first."""
    show_run(sources, run_id)
    found = sources.prefect.read_logs(run_id, after)
    return LogLines(lines=[LogLine(**line.model_dump()) for line in found])


@router.post("/{run_id}/cancel", status_code=202)
def cancel_run(sources: Given, run_id: str) -> Run:
    """Ask a run to stop. 409 where it has ended."""
    run = show_run(sources, run_id)
    if run.status.is_final:
        raise PermanentError(f"Run {run_id} has ended: {run.status}.", "There is nothing to cancel.")
    sources.prefect.cancel_run(run_id)
    return show_run(sources, run_id)


@router.post("/{run_id}/retry", status_code=202)
def retry_run(sources: Given, asking: Asked, caller: Asker, run_id: str, response: Response) -> Run:
    """A new run of the same environment, operation and spec version. 409 while the old one goes on.

    To repeat a teardown needs the role that a teardown needs: 403.
    """
    return answer_once(response, sources, asking, lambda: _start_retry(sources, asking, caller, run_id))


def _start_retry(sources: Sources, asking: Asking, caller: Caller, run_id: str) -> Run:
    run = show_run(sources, run_id)
    if run.operation == Operation.TEARDOWN:
        refuse_smaller(caller, LEAST_ROLE["DELETE", "/api/environments/{name}"])
    if not run.status.is_final:
        raise PermanentError(
            f"Run {run_id} goes on: {run.status}.", f"Wait, or `terrarium runs cancel {run_id}` first."
        )
    if run.operation not in (Operation.PLAN, Operation.PROVISION, Operation.TEARDOWN):
        raise UnknownError(f"Run {run_id} cannot be repeated from here.", "Start it in the Prefect UI.")
    if run.operation == Operation.TEARDOWN:
        return _repeat_teardown(sources, asking, run)
    return start_run(sources, asking, run.environment, Operation(run.operation), run.spec_version)


def _repeat_teardown(sources: Sources, asking: Asking, run: Run) -> Run:
    """A teardown is repeated only on the life that it was asked to end."""
    if run.status is RunStatus.SUCCEEDED:
        raise PermanentError(f"Run {run.run_id} has removed {run.environment}.", "There is nothing to repeat.")
    life = sources.ledger.read_generation(run.environment)
    if life and life.origin_run_id != run.run_id:
        refuse_newer_life(run.environment, run.run_id, _read_asked_at(sources, run.run_id), life.opened_at)
    return start_teardown(sources, asking, read_environment(sources, run.environment))


def _read_asked_at(sources: Sources, run_id: str) -> datetime | None:
    """When a run was asked for: by its request, else by its beginning, else by its place in Prefect's queue."""
    row = sources.ledger.read_run(run_id)
    if row:
        request = sources.ledger.read_request(row.request_id) if row.request_id else None
        return request.added_at if request else row.begun_at
    flow_run = sources.prefect.read_run(run_id)
    return flow_run.created_at if flow_run else None
