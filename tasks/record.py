"""A run's beginning and end in the ledger, whatever happens in between."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
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
from domain.provision import classify_failure
from domain.spec import EnvironmentSpec
from domain.status import EnvironmentStatus, Operation, RunStatus
from tasks.ledger import ledger
from tasks.run import Run
from tasks.steps import CHANGING, unwind

#: What a run that ended well leaves of its environment; a plan changes nothing.
LEAVES = {Operation.PROVISION: EnvironmentStatus.READY, Operation.TEARDOWN: EnvironmentStatus.DESTROYED}


@contextmanager
def record_run(environment: str, operation: Operation, spec_version: int | None = None) -> Iterator[Run]:
    """Begin a run in the ledger, and record how it ended. What a failed run brought for itself is undone."""
    run = _begin(environment, operation, spec_version)
    try:
        yield run
    except BaseException as error:
        unwind(run)
        _finish_failed(run, error)
        raise
    else:
        _finish(run, RunStatus.SUCCEEDED, LEAVES.get(operation))
    finally:
        if not any(run.folder.rglob(RESCUED_STATE)):
            shutil.rmtree(run.folder, ignore_errors=True)


def _begin(environment: str, operation: Operation, spec_version: int | None) -> Run:
    flow_run = _read_flow_run()
    run_id = str(flow_run.id)
    request = ledger().read_request(flow_run.idempotency_key) if flow_run.idempotency_key else None
    actor = request.actor if request else "schedule" if flow_run.auto_scheduled else "prefect-ui"
    known = ledger().read_environment(environment)
    version, spec = _CHOICES[operation](environment, spec_version, known, actor)
    account = load_account(spec.account)
    ledger().begin_run(
        run_id, environment, operation, operation.value, version, request.id if request else None, actor,
        socket.gethostname(), os.getpid(),
    )  # fmt: skip
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
        folder=read_settings().state_dir / "work" / run_id,
    )


def _read_flow_run() -> FlowRun:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise PermanentError("There is no flow run here.", "Start the flow through its deployment.")
    return context.flow_run


def _choose_wanted(
    environment: str, spec_version: int | None, _known: EnvironmentRow | None, actor: str
) -> tuple[int, EnvironmentSpec]:
    """The spec to make: the stored version that was asked for, else the environment's file as it is now."""
    if spec_version is not None:
        return _read_stored(environment, spec_version)
    text, spec = read_declared(environment)
    return ledger().add_spec(environment, spec.canonical_json(), text, actor), spec


def _choose_applied(
    environment: str, _spec_version: int | None, known: EnvironmentRow | None, _actor: str
) -> tuple[int, EnvironmentSpec]:
    """The spec to remove by: the one that the environment was last made with, whatever its file says by now."""
    if known is None or known.spec_version is None or known.generation is None:
        raise RefusedError(
            f"There is no environment {environment} to remove.", "`terrarium env list` shows those that exist."
        )
    return _read_stored(environment, known.spec_version)


_CHOICES = {
    Operation.PLAN: _choose_wanted,
    Operation.PROVISION: _choose_wanted,
    Operation.TEARDOWN: _choose_applied,
}


def _read_stored(environment: str, version: int) -> tuple[int, EnvironmentSpec]:
    return version, EnvironmentSpec.model_validate_json(ledger().read_spec(environment, version).spec_json)


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


def _finish_failed(run: Run, error: BaseException) -> None:
    """A refusal changed nothing; a failure left what its steps say; anything else came from outside: cancelled."""
    if isinstance(error, RefusedError):
        return _finish(run, RunStatus.REFUSED, None, error)
    began = {step.name for step in ledger().read_steps(run.run_id)}
    leaves = classify_failure(run.operation, was_ready=run.was_ready, may_have_changed=bool(began & CHANGING))
    return _finish(run, RunStatus.FAILED if isinstance(error, Exception) else RunStatus.CANCELLED, leaves, error)


def _finish(run: Run, status: RunStatus, leaves: EnvironmentStatus | None, error: BaseException | None = None) -> None:
    """What the steps told becomes the outcome: the counts of what changed, and everything else as the report."""
    report: dict[str, Any] = {}
    for step in ledger().read_steps(run.run_id):
        report |= step.detail if step.outcome == "succeeded" and step.detail else {}
    counts = Counts.model_validate(report.pop("counts", {}))
    if isinstance(error, TerrariumError):
        report["resolution"] = error.resolution
    text = error.summary if isinstance(error, TerrariumError) else f"{type(error).__name__}: {error}" if error else ""
    ledger().finish_run(run.run_id, status, leaves, counts, report, text)
