"""Whether a change of a protected environment may happen: it needs a second person who saw exactly this plan.

Protected is what `protection.teardown: refused` says, in the spec that the environment was last made with or in the one
that is wanted: otherwise the first step around an approval would be to take the protection away. A rollback, an abort
and an unwind never ask.
"""

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from domain.changes import Changes
from domain.errors import RefusedError
from domain.spec import EnvironmentSpec
from domain.step import Step

#: The step in which a run waits.
AWAIT = "await_approval"
STAYS_A_DAY = "Whoever approves it later can still apply it: a saved plan ends by itself after 24 hours."
WAITS_ONLY = "Waiting changes nothing."


class Approval(BaseModel):
    """Who approved a plan, identified by its id and the digest of its changes, why and until when."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    plan_id: str
    digest: str
    approver: str
    reason: str
    expires_at: datetime


class Proposal(BaseModel):
    """A change that somebody wants to make.

    `lives` is the spec that the environment was last made with. `requesters` are who asked for the plan and who asks
    for its apply. `plan_id` names what would be done (`name_plan`); `approvals` are all that it has; `is_by_plan` says
    that it was asked for by this id.
    """

    model_config = ConfigDict(frozen=True)

    spec: EnvironmentSpec
    lives: EnvironmentSpec | None
    was_ready: bool
    changes: Changes
    requesters: frozenset[str]
    plan_id: str
    approvals: tuple[Approval, ...] = ()
    is_by_plan: bool = False


class Authority(BaseModel):
    """Whether a change needs an approval, and the one that it has. `faults` says why others do not count."""

    model_config = ConfigDict(frozen=True)

    is_needed: bool
    approval: Approval | None = None
    faults: tuple[str, ...] = ()

    @property
    def is_given(self) -> bool:
        """The change may happen."""
        return not self.is_needed or self.approval is not None


def decide_authority(proposal: Proposal, now: datetime) -> Authority:
    """What a change needs and has. An approval counts for its own plan alone, from somebody else, in its time."""
    if not needs_approval(proposal):
        return Authority(is_needed=False)
    faults = {approval: _find_fault(approval, proposal, now) for approval in proposal.approvals}
    valid = next((approval for approval, fault in faults.items() if not fault), None)
    return Authority(is_needed=True, approval=valid, faults=tuple(fault for fault in faults.values() if fault))


def needs_approval(proposal: Proposal) -> bool:
    """Any change of a protected environment that was ready, and one that changes no resource but the protection."""
    lives_protected = bool(proposal.lives and proposal.lives.protection.is_protected)
    is_protected = lives_protected or proposal.spec.protection.is_protected
    lifts_protection = lives_protected and not proposal.spec.protection.is_protected
    is_empty = proposal.changes.counts.is_empty and not lifts_protection
    return is_protected and proposal.was_ready and not is_empty


def _find_fault(approval: Approval, proposal: Proposal, now: datetime) -> str:
    """Why an approval does not count; empty where it does."""
    if (approval.plan_id, approval.digest) != (proposal.plan_id, proposal.changes.digest()):
        return f"{approval.approver} approved another plan"
    if approval.approver in proposal.requesters:
        return f"{approval.approver} asked for the change"
    if now >= approval.expires_at:
        return f"the approval of {approval.approver} ended at {approval.expires_at:%Y-%m-%d %H:%M} UTC"
    return ""


def decide_gate(proposal: Proposal, now: datetime) -> tuple[Step, ...]:
    """The steps before a change: none where it may happen, else the plan is kept and its approval is awaited.

    RefusedError for a plan that was asked for by its id and is not approved: it can be approved before it is applied.
    """
    if decide_authority(proposal, now).is_given:
        return ()
    if proposal.is_by_plan:
        refuse_unapproved(proposal, now)
    arguments = {"plan_id": proposal.plan_id, "changes": proposal.changes.model_dump(mode="json")}
    save = Step(name="save_plan", arguments=arguments, no_undo=STAYS_A_DAY)
    return save, Step(name=AWAIT, arguments=arguments, no_undo=WAITS_ONLY)


def refuse_unapproved(proposal: Proposal, now: datetime) -> None:
    """RefusedError where the change needs an approval and has none that counts."""
    authority = decide_authority(proposal, now)
    if authority.is_given:
        return
    name, plan_id = proposal.spec.name, proposal.plan_id
    why = f" ({'; '.join(authority.faults)})" if authority.faults else ""
    raise RefusedError(
        f"{name} is protected, and plan {plan_id} has no approval that counts{why}.",
        f"Somebody else: `terrarium approve {plan_id} --reason …`; then `terrarium env apply {name} --plan {plan_id}`.",
    )


def refuse_own(environment: str, plan_id: str, requester: str, approver: str) -> None:
    """RefusedError where who asked for a plan would approve it."""
    if requester == approver:
        raise RefusedError(
            f"{environment}: plan {plan_id} was asked for by {requester}, who cannot approve it.",
            "Somebody else has to, with a token of their own.",
        )


def decide_end(now: datetime, plan_ends_at: datetime, valid_for: timedelta) -> datetime:
    """When an approval ends: after its time, and never after its plan. RefusedError for a plan that is over."""
    if now >= plan_ends_at:
        raise RefusedError(
            f"The plan ended at {plan_ends_at:%Y-%m-%d %H:%M} UTC; nothing is left to approve.", "Have it made again."
        )
    return min(now + valid_for, plan_ends_at)
