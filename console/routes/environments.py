"""Environments: make, plan, look at, compare, extend and remove them. Each change is a run, answered with 202."""

import json
from datetime import timedelta

from fastapi import APIRouter, Response

from blocks.environment_files import read_declared
from console.auth import Asker
from console.contract import (
    ApplyRequest,
    Diff,
    Difference,
    Environment,
    EnvironmentDetail,
    Environments,
    ExtendRequest,
    Leftover,
    PlanRequest,
    Run,
    SpecRequest,
    UnlockRequest,
)
from console.routes.asking import Asked, answer_once, find_recorded_version
from console.routes.plans import parse_spec, propose
from console.routes.requests import (
    read_applicable_plan,
    read_environment,
    read_spec,
    start_run,
    start_teardown,
)
from console.routes.views import list_runs, show_environment, show_hold, show_run
from console.sources import Given, Sources, UnknownError
from domain.approval import refuse_unapproved
from domain.errors import PermanentError, RefusedError
from domain.spec import EnvironmentSpec
from domain.spec_difference import list_differences
from domain.spec_fault import SpecError
from domain.staleness import refuse_changed_spec
from domain.status import EnvironmentStatus, Operation, RunStatus
from domain.teardown import list_leftovers

router = APIRouter(prefix="/api/environments", tags=["environments"])
RUNS_SHOWN = 5


@router.post("", status_code=202)
def create_environment(sources: Given, asking: Asked, request: SpecRequest, response: Response) -> Run:
    """Store a spec and start the run that makes it so, or with `plan_only` the one that shows what it would change."""

    def start() -> Run:
        spec = sources.resolve(request.spec, request.file_name)
        version = find_recorded_version(sources, asking) or sources.ledger.add_spec(
            spec.name, spec.canonical_json(), request.spec, asking.actor
        )
        operation = Operation.PLAN if request.plan_only else Operation.PROVISION
        return start_run(sources, asking, spec.name, operation, version, replace=request.replace)

    return answer_once(response, sources, asking, start)


@router.get("")
def get_environments(sources: Given) -> Environments:
    """All environments."""
    return Environments(environments=[show_environment(row) for row in sources.ledger.list_environments()])


@router.get("/{name}")
def get_environment(sources: Given, name: str) -> EnvironmentDetail:
    """One environment: its state, spec and last runs, and what a teardown would leave."""
    row = read_environment(sources, name)
    stored = read_spec(sources, name, row.spec_version)
    spec = EnvironmentSpec.model_validate_json(stored.spec_json)
    return EnvironmentDetail(
        environment=show_environment(row),
        spec=json.loads(stored.spec_json),
        leftovers=[Leftover(what=item.what, stays=item.stays) for item in list_leftovers(spec)],
        is_protected=spec.protection.teardown == "refused",
        runs=list_runs(sources, name, RUNS_SHOWN),
        hold=show_hold(sources, name),
    )


@router.get("/{a}/diff/{b}")
def get_diff(sources: Given, a: str, b: str) -> Diff:
    """How environment b differs from environment a, key by key."""
    (a_spec, a_source), (b_spec, b_source) = _read_side(sources, a), _read_side(sources, b)
    differences = [Difference(key=item.key, a=item.left, b=item.right) for item in list_differences(a_spec, b_spec)]
    return Diff(a=a, b=b, a_source=a_source, b_source=b_source, differences=differences)


def _read_side(sources: Sources, name: str) -> tuple[EnvironmentSpec, str]:
    """The spec that an environment was made with, or its file where it was not made yet, and which of the two."""
    row = sources.ledger.read_environment(name)
    if row and row.status is not EnvironmentStatus.DESTROYED and row.spec_version:
        stored = read_spec(sources, name, row.spec_version)
        return EnvironmentSpec.model_validate_json(stored.spec_json), f"spec version {stored.version}"
    try:
        _, declared = read_declared(name, sources.environments_dir)
    except SpecError:
        raise
    except PermanentError as error:
        raise UnknownError(error.summary, error.resolution) from error
    return declared, f"environments/{name}.yaml"


@router.post("/{name}/plan", status_code=202)
def plan_environment(
    sources: Given, asking: Asked, name: str, response: Response, request: PlanRequest | None = None
) -> Run:
    """Show what applying the newest stored spec would change, on request with the modules of this version."""

    def start() -> Run:
        version = read_spec(sources, name).version
        return start_run(sources, asking, name, Operation.PLAN, version, is_upgrade=bool(request and request.upgrade))

    return answer_once(response, sources, asking, start)


@router.post("/{name}/apply", status_code=202)
def apply_environment(sources: Given, asking: Asked, name: str, request: ApplyRequest, response: Response) -> Run:
    """Apply the newest stored spec, or with `plan_id` exactly what that plan showed.

    Without a plan, a change that needs an approval waits for it inside its run. With one it has to be approved: 409.
    """

    def start() -> Run:
        version = read_spec(sources, name).version
        if request.plan_id is not None:
            plan = read_applicable_plan(sources, name, request.plan_id)
            proposal = propose(sources, plan, asking.actor)
            refuse_changed_spec(plan.id, proposal.spec, parse_spec(sources, name, version))
            refuse_unapproved(proposal, sources.read_clock())
            version = plan.spec_version
        return start_run(sources, asking, name, Operation.PROVISION, version, request.plan_id, replace=request.replace)

    return answer_once(response, sources, asking, start)


@router.delete("/{name}", status_code=202)
def destroy_environment(sources: Given, asking: Asked, name: str, response: Response) -> Run:
    """Start the teardown. 409, with the refused run, where the environment is protected."""

    def start() -> Run:
        return start_teardown(sources, asking, read_environment(sources, name))

    return answer_once(response, sources, asking, start)


@router.post("/{name}/extend")
def extend_environment(sources: Given, caller: Asker, name: str, request: ExtendRequest) -> Environment:
    """Give an environment that expires more time, counted from its expiry, or from now where that has passed."""
    row = read_environment(sources, name)
    if row.expires_at is None:
        raise RefusedError(f"{name} has no end that could be extended.", f"`terrarium env show {name}` shows its ttl.")
    expires_at = max(row.expires_at, sources.read_clock()) + timedelta(minutes=request.duration)
    sources.ledger.add_extension(name, expires_at, caller.name, request.reason)
    return show_environment(read_environment(sources, name))


@router.post("/{name}/unlock")
def unlock_environment(sources: Given, caller: Asker, name: str, request: UnlockRequest) -> Run:
    """Declare dead the run that holds an environment; the sweeper then ends it. 409 where no run holds it.

    The run may have died before its first record, so that the ledger knows neither it nor the environment.
    """
    run_id = sources.ledger.unlock(name, caller.name, request.reason)
    try:
        return show_run(sources, run_id)
    except UnknownError:
        return Run(environment=name, run_id=run_id, run_url=None, operation="unknown", status=RunStatus.CRASHED)
