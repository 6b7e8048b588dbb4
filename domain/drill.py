"""What a recovery drill and a real failover do, step by step; both walk the same middle.

Order: nobody writes to the old primary any more, and that is proved, before the standby is promoted; the name is
switched after the promotion; the old primary joins again only when it was fenced. From the first touch of the pair on,
one undo puts it in order from any state: exactly one writable primary, the name on it, the other side behind it. For a
drill that is the way back while there is one, for a failover always the way forward.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.approval import Approval
from domain.errors import RefusedError
from domain.finding import Finding
from domain.rds_recovery import list_drill_steps
from domain.readiness import Recoverability
from domain.spec import EnvironmentSpec
from domain.status import Operation
from domain.step import Step, Undo

Mode = Literal["graceful", "ungraceful"]
#: What happens to the primary in an ungraceful drill: `cut_off` and `frozen` ones are still alive.
Fault = Literal["killed", "cut_off", "frozen"]

COVERED = "The undo of the step that touched the pair first puts it in order from any state."
READS_ONLY = "It changes nothing."
KEPT_REPORT = "A report of what happened stays true after a failure."


class DrillPlan(BaseModel):
    """The steps of a drill or a failover, from which side to which."""

    model_config = ConfigDict(frozen=True)

    old_primary: str
    new_primary: str
    steps: tuple[Step, ...]


def name_drill(spec: EnvironmentSpec, mode: Mode, fault: Fault) -> str:
    """The id of what is approved: this drill of this environment as it is specified now; equal for equal ones."""
    return hashlib.sha256(f"drill {spec.digest()} {mode} {fault}".encode()).hexdigest()[:12]


def find_approval(drill_id: str, approvals: Iterable[Approval], requester: str, now: datetime) -> Approval | None:
    """The first approval of exactly this drill by somebody else that is not over."""
    for one in approvals:
        if one.plan_id == one.digest == drill_id and one.approver != requester and now < one.expires_at:
            return one
    return None


def decide_drill(
    spec: EnvironmentSpec,
    observed: Recoverability,
    findings: Sequence[Finding],
    mode: Mode,
    fault: Fault,
    approval: Approval | None,
) -> DrillPlan:
    """The steps of a drill; RefusedError where it would not work now, or nobody approved it where that is needed."""
    refuse_unready(spec, findings)
    refuse_unapproved_drill(spec, mode, fault, approval)
    if observed.rds and observed.rds.primary and observed.rds.replica:
        _refuse_fault(spec, mode)
        steps = tuple(list_drill_steps(spec, observed.rds))
        return DrillPlan(old_primary=observed.rds.primary.id, new_primary=observed.rds.replica.id, steps=steps)
    old, new = _read_sides(spec, observed)
    return DrillPlan(old_primary=old, new_primary=new, steps=tuple(_drill_steps(old, new, mode, fault)))


def refuse_second_drill(environment: str, operation: Operation, holder_operation: str | None, holder: str) -> None:
    """RefusedError where a drill meets another one: two in a row would prove what one does."""
    if operation == Operation.DRILL and holder_operation == Operation.DRILL:
        raise RefusedError(f"{environment} is being drilled already, by {holder}.", "See how that one ends.")


def refuse_unready(spec: EnvironmentSpec, findings: Sequence[Finding]) -> None:
    """RefusedError with every finding that blocks."""
    blocking = [finding for finding in findings if finding.is_blocking]
    if blocking:
        raise RefusedError(
            f"{spec.name} cannot be drilled now: {'; '.join(finding.summary for finding in blocking)}.",
            " ".join(finding.resolution for finding in blocking),
        )


def refuse_unapproved_drill(spec: EnvironmentSpec, mode: Mode, fault: Fault, approval: Approval | None) -> None:
    """RefusedError where a protected environment would be drilled without an approval of somebody else."""
    if spec.protection.is_protected and approval is None:
        name, drill_id = spec.name, name_drill(spec, mode, fault)
        raise RefusedError(
            f"{name} is protected, and drill {drill_id} has no approval that counts.",
            f"Somebody else: `terrarium drill approve {name} --mode {mode} --fault {fault} --reason …`; then run it.",
        )


def _refuse_fault(spec: EnvironmentSpec, mode: Mode) -> None:
    if mode != "graceful":
        raise RefusedError(
            f"{spec.name}: AWS's API cannot let an RDS database fail that has a replica: no {mode} drill of it.",
            f"`terrarium drill run {spec.name} --mode graceful` rehearses promotion and record switch.",
        )


def _read_sides(spec: EnvironmentSpec, observed: Recoverability) -> tuple[str, str]:
    primary, standby = observed.find("primary"), observed.find("standby")
    if primary is None or standby is None:
        raise RefusedError(
            f"{spec.name} has no primary with a standby behind it.",
            f"`make status` shows its servers; the artifact recovery-{spec.name} says what to mend.",
        )
    return primary.name, standby.name


def _drill_steps(old: str, new: str, mode: Mode, fault: Fault) -> Iterator[Step]:
    yield Step(name="start_probe", undo=Undo(name="stop_probe"))
    put_in_order = Undo(name="restore_pair", arguments={"primary": old, "goes_forward": False})
    if mode == "graceful":
        yield Step(name="stop_primary", arguments={"node": old, "standby": new}, undo=put_in_order)
    else:
        yield Step(name="break_primary", arguments={"node": old, "fault": fault}, undo=put_in_order)
    yield Step(name="fence_primary", arguments={"node": old}, no_undo=COVERED)
    yield from _takeover(old, new, is_rejoin_needed=True)
    yield Step(name="measure_loss", arguments={"node": new}, no_undo=READS_ONLY)
    yield Step(name="compare_sides", arguments={"primary": new, "standby": old}, no_undo=READS_ONLY)
    yield Step(name="publish_drill_report", arguments={"mode": mode, "fault": fault}, no_undo=KEPT_REPORT)


def _takeover(old: str, new: str, *, is_rejoin_needed: bool) -> Iterator[Step]:
    """What a drill rehearses and a failover runs. A real disaster may leave nothing that could join again."""
    yield Step(name="promote_standby", arguments={"node": new}, no_undo=COVERED)
    yield Step(name="switch_name", arguments={"node": new}, no_undo=COVERED)
    yield Step(name="verify_writes", arguments={"node": new}, no_undo=READS_ONLY)
    yield Step(name="rejoin_standby", arguments={"node": old, "is_needed": is_rejoin_needed}, no_undo=COVERED)


class ExpectedLoss(BaseModel):
    """What a failover now would lose. `is_none` where it is known to be nothing."""

    model_config = ConfigDict(frozen=True)

    is_none: bool
    told: str


def can_stop_in_order(observed: Recoverability) -> bool:
    """The primary still answers and the standby follows it: then it is stopped, not killed, and nothing is lost."""
    return observed.find("primary") is not None and observed.is_streaming and observed.lag_seconds is not None


def expect_loss(observed: Recoverability) -> ExpectedLoss:
    """What a failover would lose: nothing where the primary can still be stopped in order, or where commits wait."""
    if observed.is_synchronous:
        return ExpectedLoss(is_none=True, told="nothing: commits wait for the standby")
    if can_stop_in_order(observed):
        return ExpectedLoss(is_none=True, told="nothing: the primary is stopped in order")
    if observed.find("primary") and observed.lag_bytes is not None:
        told = f"{observed.lag_bytes} bytes of WAL that the standby has not got"
        return ExpectedLoss(is_none=False, told=told)
    age = "an unknown time" if observed.lag_seconds is None else f"up to {observed.lag_seconds:.1f} s"
    return ExpectedLoss(is_none=False, told=f"the primary does not answer; {age} of writes may be on it alone")


def refuse_overtaken(
    environment: str, observed: Recoverability, asked_at: datetime, last_failover_at: datetime | None
) -> None:
    """RefusedError where another failover was done since this one was asked for: a second one would go back."""
    primary = observed.find("primary")
    if primary and last_failover_at and last_failover_at > asked_at:
        raise RefusedError(
            f"{environment}: another failover ended at {last_failover_at:%H:%M:%S} UTC, after this one was asked for, "
            f"and {primary.name} is the primary.",
            f"Nothing was done. If it is to go to the other side: `terrarium failover {environment} --reason …` again.",
        )


def decide_fail_over(spec: EnvironmentSpec, observed: Recoverability, *, accepts_loss: bool) -> DrillPlan:
    """The steps of a real failover. It asks for no window, approval or hold, but for the loss to be accepted.

    RefusedError where there is no standby, or where something may be lost and nobody accepted that; and for a database
    of RDS, whose old primary nobody could prove to be fenced.
    """
    if observed.rds:
        raise RefusedError(
            f"{spec.name}: a database of RDS is not failed over by this version: its primary cannot be proved fenced.",
            "The runbook of drills (docs/runbooks/drill.md, RDS) has the calls of a failover by hand.",
        )
    standby = observed.find("standby")
    old = next((side.name for side in observed.sides if standby and side.name != standby.name), None)
    if standby is None or old is None:
        raise RefusedError(
            f"{spec.name} has no standby that answers and could be promoted.",
            "Look at both servers' logs; where both are gone, restore the newest proved backup.",
        )
    loss = expect_loss(observed)
    if not loss.is_none and not accepts_loss:
        raise RefusedError(
            f"A failover of {spec.name} may lose writes: {loss.told}.",
            f"If that is worth it: `terrarium failover {spec.name} --accept-loss --reason …`.",
        )
    steps = (
        *_take_out(old, standby.name, is_in_order=can_stop_in_order(observed)),
        *_takeover(old, standby.name, is_rejoin_needed=False),
        Step(name="publish_failover_report", arguments={"expected_loss": loss.told}, no_undo=KEPT_REPORT),
    )
    return DrillPlan(old_primary=old, new_primary=standby.name, steps=steps)


def _take_out(old: str, new: str, *, is_in_order: bool) -> Iterator[Step]:
    """No more writes on the old primary. What finishes a failover that was interrupted stands at its first step."""
    finish = Undo(name="restore_pair", arguments={"primary": old, "goes_forward": True})
    if not is_in_order:
        yield Step(name="fence_primary", arguments={"node": old}, undo=finish)
        return
    yield Step(name="stop_primary", arguments={"node": old, "standby": new}, undo=finish)
    yield Step(name="fence_primary", arguments={"node": old}, no_undo=COVERED)
