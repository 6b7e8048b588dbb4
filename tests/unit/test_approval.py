"""Whether a change of a protected environment may happen, and what it waits for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from blocks.environment_files import read_declared
from domain.approval import (
    Approval,
    Proposal,
    decide_authority,
    decide_end,
    decide_gate,
    refuse_own,
    refuse_unapproved,
)
from domain.changes import Change, Changes
from domain.errors import RefusedError
from domain.spec import EnvironmentSpec

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHANGED = Changes(items=(Change(address="a.x", resource_type="a", action="change"),))
OTHER = Changes(items=(Change(address="a.y", resource_type="a", action="change"),))
PROTECTED = read_declared("production")[1]
OPEN = PROTECTED.model_copy(update={"protection": PROTECTED.protection.model_copy(update={"teardown": "allowed"})})


def approve(**changes: Any) -> Approval:
    """Bob's approval of plan p1."""
    fields: dict[str, Any] = {"plan_id": "p1", "digest": CHANGED.digest(), "approver": "bob", "reason": "seen"}
    return Approval(**{"expires_at": NOW + timedelta(hours=1), **fields, **changes})


def propose(**changes: Any) -> Proposal:
    """Ada's change of a protected environment that is ready."""
    fields: dict[str, Any] = {"spec": PROTECTED, "lives": PROTECTED, "was_ready": True, "plan_id": "p1"}
    return Proposal(**{**fields, "changes": CHANGED, "requesters": frozenset({"ada"}), **changes})


@pytest.mark.parametrize(
    ("changes", "is_needed"),
    [
        ({}, True),
        ({"was_ready": False}, False),
        ({"changes": Changes()}, False),
        ({"spec": OPEN, "lives": OPEN}, False),
        ({"spec": OPEN, "lives": PROTECTED}, True),
        ({"spec": PROTECTED, "lives": OPEN}, True),
        ({"spec": OPEN, "lives": PROTECTED, "changes": Changes()}, True),
        ({"spec": PROTECTED, "lives": OPEN, "changes": Changes()}, False),
        ({"spec": OPEN, "lives": None}, False),
    ],
    ids=[
        "a change",
        "not ready yet",
        "an empty plan",
        "not protected",
        "protection would go",
        "protection would come",
        "nothing goes but the protection",
        "nothing comes but the protection",
        "never made, not protected",
    ],
)
def test_what_needs_an_approval(changes: dict[str, Any], is_needed: bool) -> None:
    """Any change of a protected environment, but its creation and an empty plan; lifting the protection is a change."""
    authority = decide_authority(propose(**changes), NOW)
    assert (authority.is_needed, authority.is_given) == (is_needed, not is_needed)


@pytest.mark.parametrize(
    ("approval", "fault"),
    [
        (approve(), ""),
        (approve(plan_id="p2"), "bob approved another plan"),
        (approve(digest=OTHER.digest()), "bob approved another plan"),
        (approve(approver="ada"), "ada asked for the change"),
        (approve(expires_at=NOW), "the approval of bob ended at 2026-03-01 12:00 UTC"),
    ],
    ids=["good", "another plan", "another digest", "the requester's", "over"],
)
def test_which_approval_counts(approval: Approval, fault: str) -> None:
    """Of this plan and its digest, by somebody else, in its time; what does not count is told with its reason."""
    authority = decide_authority(propose(approvals=(approval,)), NOW)
    assert (authority.is_given, authority.faults) == (not fault, (fault,) if fault else ())


def test_who_planned_cannot_approve_for_who_applies() -> None:
    """Both who asked for the plan and who asks for its apply are requesters."""
    asked = frozenset({"ada", "bob"})
    assert not decide_authority(propose(approvals=(approve(),), requesters=asked), NOW).is_given


def test_one_good_approval_among_others_is_enough() -> None:
    """An approval that does not count takes nothing from one that does."""
    found = (approve(approver="ada"), approve())
    assert decide_authority(propose(approvals=found), NOW).approval == approve()


def test_a_run_without_a_plan_keeps_its_plan_and_waits() -> None:
    """The plan is saved first, so that there is something to approve; both steps know its id and its changes."""
    save, wait = decide_gate(propose(), NOW)
    assert (save.name, wait.name) == ("save_plan", "await_approval")
    assert save.arguments == wait.arguments
    assert save.arguments["plan_id"] == "p1"
    assert save.undo is None


def test_a_change_that_may_happen_meets_no_gate() -> None:
    """Not needed, or approved: no step more."""
    assert decide_gate(propose(was_ready=False), NOW) == ()
    assert decide_gate(propose(approvals=(approve(),)), NOW) == ()


def test_a_plan_that_is_asked_for_by_its_id_is_approved_before() -> None:
    """It does not wait: the refusal has the two commands that go on."""
    with pytest.raises(RefusedError, match=r"plan p1 has no approval that counts \(ada asked") as refusal:
        decide_gate(propose(approvals=(approve(approver="ada"),), is_by_plan=True), NOW)
    assert "terrarium approve p1" in refusal.value.resolution
    assert "terrarium env apply production --plan p1" in refusal.value.resolution
    refuse_unapproved(propose(approvals=(approve(),)), NOW)


def test_the_requester_does_not_approve() -> None:
    """Not with the same token."""
    with pytest.raises(RefusedError, match="asked for by ada, who cannot approve it"):
        refuse_own("production", "p1", "ada", "ada")
    refuse_own("production", "p1", "prefect-ui", "ada")


def test_an_approval_ends_with_its_plan() -> None:
    """After its own time, never after the plan's; nothing is left to approve of a plan that is over."""
    day = timedelta(hours=24)
    assert decide_end(NOW, NOW + timedelta(days=2), day) == NOW + day
    assert decide_end(NOW, NOW + timedelta(hours=3), day) == NOW + timedelta(hours=3)
    with pytest.raises(RefusedError, match="nothing is left to approve"):
        decide_end(NOW, NOW, day)


def test_a_spec_without_protection_is_as_the_file_says() -> None:
    """The example's only protected environment is production."""
    specs: dict[str, EnvironmentSpec] = {name: read_declared(name)[1] for name in ("dev", "staging", "production")}
    assert [name for name, spec in specs.items() if spec.protection.is_protected] == ["production"]
