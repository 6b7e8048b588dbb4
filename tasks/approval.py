"""Waiting for a second person, inside the run: the ledger is asked again and again, for a bounded time."""

import time
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import httpx
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import PrefectException

from blocks.settings import read_settings
from domain.approval import Approval, Proposal, decide_authority
from domain.changes import Changes
from domain.errors import RefusedError, TemporaryError
from domain.hold import refuse_held
from domain.provision import name_plan
from domain.spec import EnvironmentSpec
from tasks.ledger import ledger
from tasks.run import Run, read_clock

POLL_SECONDS = 1.0
#: The name under which Prefect shows a run that waits; blocks/prefect_api.py reads it.
WAITING = "AwaitingApproval"


def read_proposal(run: Run, changes: Changes) -> Proposal:
    """The run's change as it is decided about: a plan that was approved before is approved when it is made again."""
    version = ledger().read_made_version(run.environment)
    lives = ledger().read_spec(run.environment, version).spec_json if version else None
    plan_id = run.plan_id or name_plan(run.spec, changes)
    asked_by = ledger().read_requester(plan_id, read_clock())
    return Proposal(
        spec=run.spec,
        lives=EnvironmentSpec.model_validate_json(lives) if lives else None,
        was_ready=run.was_ready,
        changes=changes,
        requesters=frozenset({run.actor, asked_by or run.actor}),
        plan_id=plan_id,
        approvals=ledger().list_approvals(plan_id),
        is_by_plan=run.plan_id is not None,
    )


@task(cache_policy=NO_CACHE)
def await_approval(run: Run, plan_id: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Wait until somebody else approves the plan. RefusedError when its time is over, or a hold came meanwhile."""
    proposal = read_proposal(run, Changes.model_validate(changes))
    ends_at = read_clock() + timedelta(minutes=read_settings().approval_wait_minutes)
    get_run_logger().warning(
        "%s is protected: this waits until %s for somebody to do `terrarium approve %s --reason …`.",
        run.environment, f"{ends_at:%Y-%m-%d %H:%M} UTC", plan_id,
    )  # fmt: skip
    show_state(run.run_id, WAITING)
    approval = _poll(proposal, ends_at)
    show_state(run.run_id, "Running")
    refuse_held(run.operation, ledger().read_hold(run.environment), read_clock())
    return {"plan_id": plan_id, "approved_by": approval.approver, "approval": approval.reason}


def _poll(proposal: Proposal, ends_at: datetime) -> Approval:
    while True:
        with suppress(TemporaryError):  # a ledger that is away for a moment ends no wait
            found = proposal.model_copy(update={"approvals": ledger().list_approvals(proposal.plan_id)})
            authority = decide_authority(found, read_clock())
            if authority.approval:
                return authority.approval
        if read_clock() >= ends_at:
            raise RefusedError(
                f"{proposal.spec.name} is protected, and nobody approved plan {proposal.plan_id} in time.",
                f"Have it approved, `terrarium approve {proposal.plan_id} --reason …`, and run it again.",
            )
        time.sleep(POLL_SECONDS)


def show_state(run_id: str, name: str) -> None:
    """Tell Prefect what the run does. Not forced: a run that is being cancelled stays so.

    It is for the eye: where Prefect is away for a moment, the ledger's approval counts, and the run goes on.
    """
    with suppress(httpx.HTTPError, PrefectException), get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, State(type=StateType.RUNNING, name=name))
