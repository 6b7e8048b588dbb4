"""Whether a plan that was shown may still be applied, and what moved since where it may not."""

from collections.abc import Sequence
from datetime import datetime

from domain.errors import RefusedError
from domain.spec import EnvironmentSpec
from domain.spec_difference import list_differences


def refuse_expired(environment: str, plan_id: str, expires_at: datetime, now: datetime) -> None:
    """RefusedError for a plan whose hours are over."""
    if expires_at <= now:
        raise RefusedError(
            f"{environment}: plan {plan_id} ended at {expires_at:%Y-%m-%d %H:%M} UTC.",
            f"Plan again: `terrarium env plan {environment}`.",
        )


def refuse_changed_spec(plan_id: str, planned: EnvironmentSpec, newest: EnvironmentSpec) -> None:
    """RefusedError where the environment's newest spec is another one than the plan was made of; it names the keys."""
    moved = [f"{one.key}: {one.left} → {one.right}" for one in list_differences(planned, newest)]
    if not moved:
        return
    shown = "; ".join(moved[:5]) + ("; …" if len(moved) > 5 else "")
    raise RefusedError(
        f"{planned.name}: its spec has changed since plan {plan_id} was made ({len(moved)} keys: {shown}).",
        f"Plan again, and have that plan approved where it needs it: `terrarium env plan {planned.name}`.",
    )


def refuse_moved_state(environment: str, plan_id: str, changed_by: Sequence[str]) -> RefusedError:
    """The refusal of a plan that Terraform calls stale. `changed_by` tells the runs since that changed something."""
    moved = "; ".join(changed_by) or "nothing that Terrarium did: somebody used Terraform beside it"
    return RefusedError(
        f"{environment}: its state has changed since plan {plan_id} was made, by {moved}.",
        f"Plan again: `terrarium env plan {environment}`.",
    )
