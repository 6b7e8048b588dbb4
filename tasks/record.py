"""A run's beginning and end in the ledger, whatever happens in between."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from prefect import get_run_logger

from blocks.aws import AwsAccount
from blocks.environment_files import read_declared
from blocks.ledger.leases import LostLeaseError
from blocks.ledger.rows import EnvironmentRow, GenerationRow
from blocks.settings import read_settings
from blocks.terraform import RESCUED_STATE
from domain.errors import RefusedError, TerrariumError
from domain.hold import refuse_held
from domain.provision import classify_failure, refuse_move, refuse_other_place
from domain.spec import EnvironmentSpec
from domain.status import LEAVES, EnvironmentStatus, Operation, RunStatus
from domain.teardown import refuse_protected
from tasks.asker import find_request, name_actor, read_flow_run
from tasks.lease import acting_for, wait_for_lease
from tasks.ledger import ledger
from tasks.outcome import finish, list_left, load_account
from tasks.run import Run, read_clock
from tasks.steps import may_have_changed, unwind
from tasks.telemetry import tell_run
from tasks.terraform import break_dead_lock


@contextmanager
def record_run(
    environment: str, operation: Operation, spec_version: int | None = None, *, is_upgrade: bool = False
) -> Iterator[Run]:
    """Begin a run in the ledger, and record how it ended. What a failed run brought for itself is undone.

    A run that changes its environment holds it meanwhile, and first waits for another one that does.
    """
    with acting_for(str(read_flow_run().id), environment):
        run = _begin(environment, operation, spec_version, is_upgrade=is_upgrade)
        try:
            with tell_run(run):
                yield run
        except LostLeaseError:  # who took it records its end
            raise
        except BaseException as error:
            _fail(run, error)
            raise
        else:
            finish(run.run_id, RunStatus.SUCCEEDED, LEAVES.get(operation))
        finally:
            if not any(run.folder.rglob(RESCUED_STATE)):
                shutil.rmtree(run.folder, ignore_errors=True)


def _begin(environment: str, operation: Operation, spec_version: int | None, *, is_upgrade: bool) -> Run:
    """The run on record with the spec it was begun for; one that has no spec is on record too, with the reason."""
    flow_run = read_flow_run()
    run_id = str(flow_run.id)
    request = find_request(flow_run, environment, operation, spec_version)
    actor = name_actor(flow_run, request)
    begin_run = partial(
        ledger().begin_run, run_id, environment, operation, operation.value, request_id=request.id if request else None,
        actor=actor, host=socket.gethostname(), pid=os.getpid(), parameters=flow_run.parameters,
    )  # fmt: skip
    version = None
    try:
        refuse_held(operation, ledger().read_hold(environment), read_clock())
        wait_for_lease(run_id, environment, operation)
        refuse_held(operation, ledger().read_hold(environment), read_clock())
        known = ledger().read_environment(environment)
        version, spec = _CHOICES[operation](environment, spec_version, known, actor)
        account = load_account(spec.account).for_run(run_id)
        live = ledger().read_generation(environment)
        if live:
            refuse_other_place(environment, (live.account, live.endpoint), (account.name, account.place))
        account.identity()
    except BaseException as error:  # a cancel too: who waited for an hour is on record
        begin_run(spec_version=version)
        finish(run_id, _classify_end(error), None, error)
        raise
    begin_run(spec_version=version)
    generation = _open_generation(environment, run_id, account)
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
        named=ledger().read_replacements(request.id) if request else frozenset(),
        is_upgrade=is_upgrade,
        account=account,
        folder=read_settings().state_dir / "work" / environment / run_id,
    )


def _open_generation(environment: str, run_id: str, account: AwsAccount) -> GenerationRow:
    try:
        return ledger().open_generation(environment, run_id, account.name, account.place)
    except BaseException as error:
        finish(run_id, _classify_end(error), None, error)
        raise


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
    """The spec to remove by: the one that the environment was last made with, whatever its file says by now.

    A run that never ended may have begun with another spec than the one that protects what is there: that counts too.
    """
    if known is None or known.spec_version is None or known.status == EnvironmentStatus.DESTROYED:
        raise RefusedError(
            f"There is no environment {environment} to remove.", "`terrarium env list` shows those that exist."
        )
    made_version = ledger().read_made_version(environment) or known.spec_version
    refuse_protected(_read_stored(environment, made_version))
    return known.spec_version, _read_stored(environment, known.spec_version)


def _choose_live(
    environment: str, _spec_version: int | None, known: EnvironmentRow | None, _actor: str
) -> tuple[int, EnvironmentSpec]:
    """The spec that the environment was last made with: a drill rehearses what is there."""
    if known is None or known.ready_at is None or known.status == EnvironmentStatus.DESTROYED:
        raise RefusedError(
            f"There is no environment {environment} that was ever ready, so nothing of it can fail over.",
            "`terrarium env list` shows those that exist.",
        )
    version = ledger().read_made_version(environment) or known.spec_version
    assert version is not None, "what was ready has a spec"
    return version, _read_stored(environment, version)


def _choose_made(
    environment: str, _spec_version: int | None, known: EnvironmentRow | None, _actor: str
) -> tuple[int, EnvironmentSpec]:
    """The spec that the environment stands by: what is backed up is what is there."""
    if known is None or known.spec_version is None or known.status == EnvironmentStatus.DESTROYED:
        raise RefusedError(
            f"There is no environment {environment} whose data could be backed up.",
            "`terrarium env list` shows those that exist.",
        )
    return known.spec_version, _read_stored(environment, known.spec_version)


_CHOICES = {
    Operation.PLAN: _choose_wanted,
    Operation.PROVISION: _choose_wanted,
    Operation.TEARDOWN: _choose_applied,
    Operation.DRILL: _choose_live,
    Operation.FAILOVER: _choose_live,
    Operation.BACKUP: _choose_made,
    Operation.VERIFY: _choose_made,
}


def _read_stored(environment: str, version: int) -> EnvironmentSpec:
    return EnvironmentSpec.model_validate_json(ledger().read_spec(environment, version).spec_json)


def _classify_end(error: BaseException) -> RunStatus:
    """How a run ended that did not reach its end: what is no Exception came from outside."""
    if isinstance(error, RefusedError):
        return RunStatus.REFUSED
    return RunStatus.FAILED if isinstance(error, Exception) else RunStatus.CANCELLED


def _fail(run: Run, error: BaseException) -> None:
    """Undo what a run brought, and record its end; what cannot be undone is told, and hides neither the end nor why."""
    try:
        unwind(run)
    except LostLeaseError:  # who took it records its end
        return
    except Exception as failed:
        get_run_logger().error("What the run brought could not be undone, look for it: %s", failed)
    _finish_failed(run, error)


def _finish_failed(run: Run, error: BaseException) -> None:
    """A refusal changed nothing; everything else left what its steps say, and what then exists is listed."""
    status = _classify_end(error)
    if status == RunStatus.REFUSED:
        return finish(run.run_id, status, None, error)
    with suppress(TerrariumError):  # a Terraform that was killed leaves its lock
        break_dead_lock(run)
    has_changed = may_have_changed(ledger().read_open_steps(run.run_id))
    leaves = classify_failure(run.operation, was_ready=run.was_ready, may_have_changed=has_changed)
    return finish(run.run_id, status, leaves, error, list_left(run) if has_changed else {})
