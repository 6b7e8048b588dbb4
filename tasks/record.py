"""A run's beginning and end in the ledger, whatever happens in between."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from blocks.aws import AwsAccount
from blocks.environment_files import read_declared
from blocks.ledger.rows import EnvironmentRow
from blocks.settings import read_settings
from blocks.terraform import RESCUED_STATE
from domain.changes import Counts
from domain.errors import PermanentError, RefusedError, TerrariumError
from domain.provision import classify_failure, refuse_move
from domain.spec import EnvironmentSpec
from domain.state import read_resources
from domain.status import EnvironmentStatus, Operation, RunStatus
from tasks.ledger import ledger
from tasks.run import Run
from tasks.steps import CHANGING, unwind
from tasks.telemetry import tell_run

#: What a run that ended well leaves of its environment; a plan changes nothing.
LEAVES = {Operation.PROVISION: EnvironmentStatus.READY, Operation.TEARDOWN: EnvironmentStatus.DESTROYED}


@contextmanager
def record_run(environment: str, operation: Operation, spec_version: int | None = None) -> Iterator[Run]:
    """Begin a run in the ledger, and record how it ended. What a failed run brought for itself is undone."""
    run = _begin(environment, operation, spec_version)
    try:
        with tell_run(run):
            yield run
    except BaseException as error:
        unwind(run)
        _finish_failed(run, error)
        raise
    else:
        _finish(run.run_id, RunStatus.SUCCEEDED, LEAVES.get(operation))
    finally:
        if not any(run.folder.rglob(RESCUED_STATE)):
            shutil.rmtree(run.folder, ignore_errors=True)


def _begin(environment: str, operation: Operation, spec_version: int | None) -> Run:
    """The run on record with the spec it was begun for; one that has no spec is on record too, with the reason."""
    flow_run = _read_flow_run()
    run_id = str(flow_run.id)
    request = ledger().read_request(flow_run.idempotency_key) if flow_run.idempotency_key else None
    actor = request.actor if request else "schedule" if flow_run.auto_scheduled else "prefect-ui"
    begin_run = partial(
        ledger().begin_run, run_id, environment, operation, operation.value, request_id=request.id if request else None,
        actor=actor, host=socket.gethostname(), pid=os.getpid(),
    )  # fmt: skip
    known = ledger().read_environment(environment)
    try:
        version, spec = _CHOICES[operation](environment, spec_version, known, actor)
        account = load_account(spec.account)
    except Exception as error:
        begin_run(spec_version=None)
        _finish(run_id, _classify_end(error), None, error)
        raise
    begin_run(spec_version=version)
    generation = ledger().open_generation(environment, run_id, account.name, account.kind)
    return Run(
        run_id=run_id,
        operation=operation,
        actor=actor,
        spec=spec,
        spec_version=version,
        generation=generation.number,
        origin_run_id=generation.origin_run_id,
        status_before=known.status if known else None,
        was_ready=bool(known and known.ready_at),
        plan_id=request.plan_id if request else None,
        account=account,
        folder=read_settings().state_dir / "work" / environment / run_id,
    )


def _read_flow_run() -> FlowRun:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise PermanentError("There is no flow run here.", "Start the flow through its deployment.")
    return context.flow_run


def _choose_wanted(
    environment: str, spec_version: int | None, known: EnvironmentRow | None, actor: str
) -> tuple[int, EnvironmentSpec]:
    """The spec to make: the stored version that was asked for, else the environment's file as it is now."""
    if spec_version is None:
        text, spec = read_declared(environment)
        spec_version = ledger().add_spec(environment, spec.canonical_json(), text, actor)
    else:
        spec = _read_stored(environment, spec_version)
    if known and known.spec_version and (known.resources or known.status == EnvironmentStatus.PROVISIONING):
        refuse_move(spec, lives=_read_stored(environment, known.spec_version))
    return spec_version, spec


def _choose_applied(
    environment: str, _spec_version: int | None, known: EnvironmentRow | None, _actor: str
) -> tuple[int, EnvironmentSpec]:
    """The spec to remove by: the one that the environment was last made with, whatever its file says by now."""
    if known is None or known.spec_version is None or known.status == EnvironmentStatus.DESTROYED:
        raise RefusedError(
            f"There is no environment {environment} to remove.", "`terrarium env list` shows those that exist."
        )
    return known.spec_version, _read_stored(environment, known.spec_version)


_CHOICES = {
    Operation.PLAN: _choose_wanted,
    Operation.PROVISION: _choose_wanted,
    Operation.TEARDOWN: _choose_applied,
}


def _read_stored(environment: str, version: int) -> EnvironmentSpec:
    return EnvironmentSpec.model_validate_json(ledger().read_spec(environment, version).spec_json)


def load_account(name: str) -> AwsAccount:
    """The account block of that name. PermanentError where nobody registered it."""
    try:
        account = AwsAccount.load(name)
    except ValueError as error:
        raise PermanentError(
            f"There is no account {name}.", "Name one that Prefect has a block for; `make up` registers two."
        ) from error
    assert isinstance(account, AwsAccount)
    return account


def _classify_end(error: BaseException) -> RunStatus:
    """How a run ended that did not reach its end: what is no Exception came from outside."""
    if isinstance(error, RefusedError):
        return RunStatus.REFUSED
    return RunStatus.FAILED if isinstance(error, Exception) else RunStatus.CANCELLED


def _finish_failed(run: Run, error: BaseException) -> None:
    """A refusal changed nothing; everything else left what its steps say, and what then exists is listed."""
    status = _classify_end(error)
    if status == RunStatus.REFUSED:
        return _finish(run.run_id, status, None, error)
    may_have_changed = bool({step.name for step in ledger().read_steps(run.run_id)} & CHANGING)
    leaves = classify_failure(run.operation, was_ready=run.was_ready, may_have_changed=may_have_changed)
    return _finish(run.run_id, status, leaves, error, _list_left(run) if may_have_changed else {})


def _list_left(run: Run) -> dict[str, Any]:
    """What exists after a failure, as far as the account answers: the next apply continues from it."""
    with suppress(TerrariumError):
        resources = read_resources(run.account.read_state(run.environment) or {})
        return {"resources": len(resources), "exists": [resource.address for resource in resources]}
    return {}


def _finish(
    run_id: str,
    status: RunStatus,
    leaves: EnvironmentStatus | None,
    error: BaseException | None = None,
    left: dict[str, Any] | None = None,
) -> None:
    """What the steps told becomes the outcome: the counts of what changed, and everything else as the report."""
    report: dict[str, Any] = {}
    for step in ledger().read_steps(run_id):
        report |= step.detail if step.outcome == "succeeded" and step.detail else {}
    counted = report.pop("counts", None)
    counts = Counts.model_validate(counted) if counted else None
    report |= left or {}
    if isinstance(error, TerrariumError):
        report["resolution"] = error.resolution
    text = error.summary if isinstance(error, TerrariumError) else f"{type(error).__name__}: {error}" if error else ""
    ledger().finish_run(run_id, status, leaves, counts, report, text)
