"""Saved plans: what one would change, who may not approve it, and its approval."""

from datetime import timedelta

from fastapi import APIRouter

from blocks.ledger.rows import PlanRow
from console.auth import Asker
from console.contract_people import Approval, ApprovalRequest, Plan
from console.routes.requests import read_plan, read_spec
from console.sources import Given, Sources
from domain.approval import Proposal, decide_authority, decide_end, needs_approval, refuse_own
from domain.changes import Changes
from domain.spec import EnvironmentSpec
from domain.staleness import refuse_changed_spec

router = APIRouter(prefix="/api/plans", tags=["plans"])


@router.get("/{plan_id}")
def get_plan(sources: Given, plan_id: str) -> Plan:
    """One saved plan: what it would change, whether that needs an approval, and those that it has."""
    return _show_plan(sources, read_plan(sources, plan_id))


@router.post("/{plan_id}/approve")
def approve_plan(sources: Given, caller: Asker, plan_id: str, request: ApprovalRequest) -> Plan:
    """Approve exactly this plan. 409 with the token that asked for it, for one that is over, or of an older spec."""
    plan = read_plan(sources, plan_id)
    refuse_own(plan.environment, plan_id, _read_requester(sources, plan), caller.name)
    newest = read_spec(sources, plan.environment).version
    planned_spec, newest_spec = (parse_spec(sources, plan.environment, it) for it in (plan.spec_version, newest))
    refuse_changed_spec(plan_id, planned_spec, newest_spec)
    ends_at = decide_end(sources.read_clock(), plan.expires_at, timedelta(hours=sources.approval_hours))
    sources.ledger.add_approval(plan_id, plan.environment, plan.digest, caller.name, request.reason, ends_at)
    return _show_plan(sources, plan)


def propose(sources: Sources, plan: PlanRow, *requesters: str) -> Proposal:
    """A saved plan as a change that is proposed, by who asked for it and by these."""
    row = sources.ledger.read_environment(plan.environment)
    made_version = sources.ledger.read_made_version(plan.environment)
    return Proposal(
        spec=parse_spec(sources, plan.environment, plan.spec_version),
        lives=parse_spec(sources, plan.environment, made_version) if made_version else None,
        was_ready=bool(row and row.ready_at),
        changes=Changes.model_validate_json(plan.changes_json),
        requesters=frozenset({_read_requester(sources, plan), *requesters}),
        plan_id=plan.id,
        approvals=sources.ledger.list_approvals(plan.id),
        is_by_plan=True,
    )


def _read_requester(sources: Sources, plan: PlanRow) -> str:
    """Who asked for a plan, while it counts; afterwards who made it last."""
    if found := sources.ledger.read_requester(plan.id, sources.read_clock()):
        return found
    run = sources.ledger.read_run(plan.run_id)
    assert run is not None, "a plan's run is in the ledger before the plan"
    return run.actor


def parse_spec(sources: Sources, name: str, version: int) -> EnvironmentSpec:
    """A stored spec. UnknownError where there is none."""
    return EnvironmentSpec.model_validate_json(read_spec(sources, name, version).spec_json)


def _show_plan(sources: Sources, plan: PlanRow) -> Plan:
    proposal = propose(sources, plan)
    authority = decide_authority(proposal, sources.read_clock())
    return Plan(
        plan_id=plan.id,
        environment=plan.environment,
        spec_version=plan.spec_version,
        run_id=plan.run_id,
        requester=_read_requester(sources, plan),
        digest=plan.digest,
        changes=proposal.changes.counts,
        planned=list(proposal.changes.items),
        expires_at=plan.expires_at,
        is_approval_needed=needs_approval(proposal),
        is_approved=authority.approval is not None,
        approvals=[Approval(**approval.model_dump()) for approval in proposal.approvals],
    )
