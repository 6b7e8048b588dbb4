"""How every run is asked for: the request goes to the ledger first, then the run is started under the request's id.

So a run knows who asked and why.
"""

import os
import socket
from collections.abc import Mapping, Sequence

from blocks.ledger.rows import EnvironmentRow, PlanRow, SpecVersion
from console.contract import Run
from console.routes.asking import Asking, RefusedRunError, find_recorded_version
from console.routes.views import merge_run, show_run
from console.sources import Sources, UnknownError
from domain.errors import PermanentError, RefusedError
from domain.hold import refuse_held
from domain.spec import EnvironmentSpec
from domain.status import EnvironmentStatus, Operation, RunStatus
from domain.teardown import refuse_protected


def start_run(
    sources: Sources,
    asking: Asking,
    environment: str,
    operation: Operation,
    spec_version: int | None,
    plan_id: str | None = None,
    *,
    replace: Sequence[str] = (),
    is_upgrade: bool = False,
    parameters: Mapping[str, str | bool] | None = None,
    reason: str = "",
) -> Run:
    """Record the request and start its run; a plan is applied as it was saved, with the spec it was made of.

    `parameters` are what the flow is told beside the environment.
    """
    refuse_held(operation, sources.ledger.read_hold(environment), sources.read_clock())
    spec_version = _record_request(sources, asking, environment, operation, spec_version, plan_id, reason)
    if replace:
        sources.ledger.add_replacements(asking.request_id, environment, replace, asking.actor)
    told: dict[str, str | int] = {"environment": environment} | ({"upgrade": True} if is_upgrade else {})
    told |= parameters or {}
    if operation in (Operation.PLAN, Operation.PROVISION) and spec_version is not None:
        told["spec_version"] = spec_version
    flow_run = sources.prefect.start_run(
        operation.value, told, idempotency_key=asking.request_id, tags=[f"environment:{environment}"]
    )
    return merge_run(sources, sources.ledger.read_run(flow_run.run_id), flow_run)


def start_teardown(sources: Sources, asking: Asking, environment: EnvironmentRow) -> Run:
    """Start the removal of an environment. RefusedRunError, and a refused run in the ledger, where it is protected.

    The flow decides the same again: this early answer spares the person a run that can only be refused.
    """
    name = environment.name
    if environment.status is EnvironmentStatus.DESTROYED:
        raise PermanentError(
            f"{name} was destroyed already.", f"`terrarium runs list --environment {name}` shows when."
        )
    spec = read_spec(sources, name, environment.spec_version)
    made_version = sources.ledger.read_made_version(name) or spec.version
    try:
        for one in (spec, read_spec(sources, name, made_version)):
            refuse_protected(EnvironmentSpec.model_validate_json(one.spec_json))
    except RefusedError as refusal:
        raise RefusedRunError(refusal, _record_refusal(sources, asking, name, spec.version, refusal)) from refusal
    return start_run(sources, asking, name, Operation.TEARDOWN, spec.version)


def _record_request(
    sources: Sources,
    asking: Asking,
    environment: str,
    operation: Operation,
    spec_version: int | None,
    plan_id: str | None = None,
    reason: str = "",
) -> int | None:
    """The spec version of the request: that of the same call before, where it came no further than this."""
    version = find_recorded_version(sources, asking) or spec_version
    sources.ledger.add_request(
        asking.request_id,
        environment,
        operation,
        version,
        plan_id,
        asking.actor,
        reason=reason,
        fingerprint=asking.fingerprint,
    )
    return version


def _record_refusal(
    sources: Sources, asking: Asking, environment: str, spec_version: int, refusal: RefusedError
) -> Run:
    """A run that ended before it began: its id is its request's, Prefect never sees it."""
    version = _record_request(sources, asking, environment, Operation.TEARDOWN, spec_version)
    run_id, ledger = asking.request_id, sources.ledger
    ledger.begin_run(
        run_id,
        environment,
        Operation.TEARDOWN,
        "console",
        version,
        run_id,
        asking.actor,
        socket.gethostname(),
        os.getpid(),
    )
    report = {"resolution": refusal.resolution}
    ledger.finish_run(run_id, RunStatus.REFUSED, None, None, report, refusal.summary)
    return show_run(sources, run_id)


def read_environment(sources: Sources, name: str) -> EnvironmentRow:
    """What the ledger says of an environment. UnknownError where it says nothing."""
    row = sources.ledger.read_environment(name)
    if row is None:
        raise UnknownError(
            f"The ledger knows no environment {name}.", "`terrarium env list` shows those that it knows."
        )
    return row


def read_spec(sources: Sources, name: str, version: int | None = None) -> SpecVersion:
    """A stored spec, the newest without a version. UnknownError where there is none."""
    try:
        return sources.ledger.read_spec(name, version)
    except PermanentError as error:
        raise UnknownError(error.summary, error.resolution) from error


def read_plan(sources: Sources, plan_id: str) -> PlanRow:
    """A saved plan. UnknownError where there is none."""
    plan = sources.ledger.read_plan(plan_id)
    if plan is None:
        raise UnknownError(f"There is no plan {plan_id}.", "`terrarium env plan NAME` makes one.")
    return plan


def read_applicable_plan(sources: Sources, name: str, plan_id: str) -> PlanRow:
    """A saved plan of this environment that may still be applied. UnknownError, or RefusedError where it is too old."""
    plan = sources.ledger.read_plan(plan_id)
    if plan is None or plan.environment != name:
        raise UnknownError(f"{name} has no plan {plan_id}.", f"Make one with `terrarium env plan {name}`.")
    if plan.expires_at <= sources.read_clock():
        raise RefusedError(
            f"The plan {plan_id} of {name} ended at {plan.expires_at:%Y-%m-%d %H:%M} UTC.",
            f"Make a new one with `terrarium env plan {name}`.",
        )
    return plan
