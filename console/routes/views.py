"""Rows of the ledger and states of Prefect as answers. The ledger says how a run ended; Prefect says that it died.

A run that the ledger has not finished is as Prefect tells it: queued before it began, crashed where its process died.
"""

import json
from collections.abc import Sequence
from typing import Any

from blocks.ledger.rows import EnvironmentRow, RunRow
from blocks.prefect_api import PrefectRun
from console.contract import Environment, Hold, Run, RunProgress, SlowestStep
from console.sources import Sources, UnknownError
from domain.approval import AWAIT
from domain.changes import Change, Changes
from domain.progress import estimate
from domain.status import RunStatus


def show_environment(row: EnvironmentRow) -> Environment:
    """One environment of the list."""
    fields = row.model_dump(include=set(Environment.model_fields))
    return Environment.model_validate(fields)


def show_hold(sources: Sources, name: str) -> Hold | None:
    """What holds an environment now."""
    hold = sources.ledger.read_hold(name)
    return Hold(**hold.model_dump()) if hold and hold.is_in_force(sources.read_clock()) else None


def show_run(sources: Sources, run_id: str) -> Run:
    """One run with its progress and its saved plan. UnknownError where neither the ledger nor Prefect knows it."""
    row = sources.ledger.read_run(run_id)
    flow_run = None if row and row.status.is_final else sources.prefect.read_run(run_id)
    if row is None and flow_run is None:
        raise UnknownError(f"There is no run {run_id}.", "`terrarium runs list` shows the newest ones.")
    run = merge_run(sources, row, flow_run)
    if row is None:
        return run
    if not run.status.is_final:
        return run.model_copy(update={"progress": _read_progress(sources, row), **_read_awaited(sources, run)})
    planned, changes = _read_planned(sources, run)
    return run.model_copy(update={"planned": planned, "changes": run.changes or changes})


def list_runs(sources: Sources, environment: str | None, limit: int) -> list[Run]:
    """The newest runs of the ledger and those that Prefect still holds in its queue, newest first."""
    rows = sources.ledger.list_runs(environment, limit)
    open_ids = [row.run_id for row in rows if not row.status.is_final]
    flow_runs = sources.prefect.read_runs(open_ids)
    known = {row.run_id for row in rows}
    queued = [
        flow_run
        for flow_run in sources.prefect.read_live_runs(sources.read_clock())
        if flow_run.run_id not in known and _concerns(flow_run, environment)
    ]
    runs = [merge_run(sources, None, flow_run) for flow_run in queued]
    runs += [merge_run(sources, row, flow_runs.get(row.run_id)) for row in rows]
    return runs[:limit]


def _concerns(flow_run: PrefectRun, environment: str | None) -> bool:
    name = flow_run.parameters.get("environment")
    return bool(name) and environment in (None, name)


def merge_run(sources: Sources, row: RunRow | None, flow_run: PrefectRun | None) -> Run:
    """What the ledger and Prefect know of one run, as one; at least one of them knows it."""
    if row is None:
        assert flow_run is not None
        return _show_queued(sources, flow_run)
    status, error, finished_at = row.status, row.error or None, row.finished_at
    if not status.is_final and flow_run and flow_run.status is not RunStatus.QUEUED:
        # A process that ended well writes its own end; what Prefect calls completed is then about to be written.
        status = RunStatus.RUNNING if flow_run.status is RunStatus.SUCCEEDED else flow_run.status
        error, finished_at = (flow_run.message or None) if status.is_final else None, flow_run.finished_at
    report = row.report or {}
    return Run(
        environment=row.environment,
        run_id=row.run_id,
        run_url=_url(sources, row.run_id) if row.flow != "console" else None,
        operation=row.operation,
        status=status,
        changes=row.counts,
        started_at=row.begun_at,
        finished_at=finished_at if status.is_final else None,
        spec_version=row.spec_version,
        plan_id=report.get("plan_id"),
        actor=row.actor,
        error=error,
        resolution=report.get("resolution") or _find_way(row.run_id, status),
    )


def _show_queued(sources: Sources, flow_run: PrefectRun) -> Run:
    """A run that the ledger has not met: it waits in Prefect's queue, or ended there."""
    request = sources.ledger.read_request(flow_run.idempotency_key) if flow_run.idempotency_key else None
    status = flow_run.status
    if status is RunStatus.RUNNING and sources.ledger.is_waiting(flow_run.run_id):
        status = RunStatus.WAITING
    is_final = status.is_final
    return Run(
        environment=str(flow_run.parameters.get("environment") or ""),
        run_id=flow_run.run_id,
        run_url=_url(sources, flow_run.run_id),
        operation=request.operation if request else (flow_run.deployment or "unknown"),
        status=status,
        started_at=flow_run.started_at,
        finished_at=flow_run.finished_at if is_final else None,
        spec_version=flow_run.parameters.get("spec_version"),
        actor=request.actor if request else "prefect-ui",
        error=(flow_run.message or None) if is_final and status is not RunStatus.SUCCEEDED else None,
        resolution=_find_way(flow_run.run_id, status),
    )


def _url(sources: Sources, run_id: str) -> str:
    return f"{sources.prefect_url}/runs/flow-run/{run_id}"


def _find_way(run_id: str, status: RunStatus) -> str | None:
    """What to do about a run that ended badly and left no way of its own."""
    if status in (RunStatus.CRASHED, RunStatus.CANCELLED, RunStatus.FAILED):
        return f"`terrarium runs logs {run_id}` tells more; `terrarium runs retry {run_id}` goes on from what exists."
    return None


def _read_progress(sources: Sources, row: RunRow) -> RunProgress | None:
    """How far the run is, from its journal and those of earlier runs; None before Terraform's plan is known."""
    events = sources.ledger.read_journal(row.run_id)
    environment = sources.ledger.read_environment(row.environment)
    if not events or not environment:
        return None
    history = sources.read_history(environment.cloud, row.operation)
    progress = estimate(events, history, sources.read_clock())
    slowest = SlowestStep(**progress.slowest.model_dump()) if progress.slowest else None
    return RunProgress(**progress.model_dump(exclude={"slowest"}), slowest=slowest)


def _read_awaited(sources: Sources, run: Run) -> dict[str, Any]:
    """The plan whose approval a run waits for, what it would change, and how it goes on."""
    steps = sources.ledger.read_steps(run.run_id) if run.status is RunStatus.WAITING else []
    awaited = next((step for step in reversed(steps) if step.name == AWAIT and step.outcome == "begun"), None)
    if awaited is None:
        return {}
    plan_id = str(awaited.arguments["plan_id"])
    planned, changes = _read_planned(sources, run.model_copy(update={"plan_id": plan_id}))
    way = f"It goes on when somebody other than {run.actor} does `terrarium approve {plan_id} --reason …`."
    return {"plan_id": plan_id, "planned": planned, "changes": changes, "resolution": way}


def _read_planned(sources: Sources, run: Run) -> tuple[list[Change], Any]:
    """What a saved plan would change, and its counts."""
    plan = sources.ledger.read_plan(run.plan_id) if run.plan_id else None
    if plan is None:
        return [], None
    found: Sequence[Any] | dict[str, Any] = json.loads(plan.changes_json)
    changes = Changes.model_validate(found if isinstance(found, dict) else {"items": found})
    return list(changes.items), changes.counts
