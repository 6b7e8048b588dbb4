"""What a provisioning run does, from what the spec wants and what Terraform would change.

Order: a change that is refused is refused before the first effect; what is made is verified before it is reported.
Infrastructure goes forward only: no step here deletes what an apply made, the next apply continues from it.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.changes import Changes
from domain.data_losses import refuse_data_losses
from domain.errors import RefusedError
from domain.pair_plan import ObservedPair, decide_pair, refuse_pair
from domain.spec import EnvironmentSpec
from domain.status import EnvironmentStatus, Operation
from domain.step import Step, Undo

FORWARD_ONLY = "Infrastructure goes forward: the next apply continues from what exists, and destroy removes it."
READS_ONLY = "It changes nothing."
KEPT_REPORT = "A report of what happened stays true after a failure."


class Observed(BaseModel):
    """What an environment is before the run: what Terraform would change, and whether it is `ready` now.

    `pinned` is the digest of the modules that it keeps, None before its first apply; `named` are the addresses that a
    person said may lose their data, `never_made` those whose creation failed.
    """

    model_config = ConfigDict(frozen=True)

    changes: Changes
    is_ready: bool
    pinned: str | None = None
    named: frozenset[str] = frozenset()
    never_made: frozenset[str] = frozenset()


class ProvisionPlan(BaseModel):
    """The steps of a run in their order, and the changes that they make."""

    model_config = ConfigDict(frozen=True)

    changes: Changes
    steps: tuple[Step, ...]


def decide_plan_run(spec: EnvironmentSpec, observed: Observed, pair: ObservedPair) -> ProvisionPlan:
    """A run that only shows: the plan is kept, to be applied as it was shown."""
    if pair.hindrance:  # what only an apply is asked about, data that would be lost, a plan tells
        refuse_pair(spec, pair, observed.named)
    plan_id = name_plan(spec, observed.changes)
    save = Step(
        name="save_plan",
        arguments={"plan_id": plan_id, "changes": _dump(observed)},
        undo=Undo(name="delete_plan", arguments={"plan_id": plan_id}),
    )
    return ProvisionPlan(changes=observed.changes, steps=(save, _report(observed)))


def name_plan(spec: EnvironmentSpec, changes: Changes) -> str:
    """The id of a plan: it names the changes, the spec and the modules, which pin their provider; equal for equal ones.

    An approval of it is void when any of these changes, and holds for the same plan made again.
    """
    named = f"{changes.digest()} {spec.digest()} {changes.modules}"
    return hashlib.sha256(named.encode()).hexdigest()[:12]


def decide_provision(spec: EnvironmentSpec, observed: Observed, pair: ObservedPair) -> ProvisionPlan:
    """The steps that bring an environment from `observed` to its spec; RefusedError where they would lose too much."""
    refuse_losses(spec, observed.changes)
    refuse_data_losses(spec.name, observed.changes, observed.named, observed.never_made)
    refuse_pair(spec, pair, observed.named)
    return ProvisionPlan(changes=observed.changes, steps=tuple(_steps(spec, observed, pair)))


def _steps(spec: EnvironmentSpec, observed: Observed, pair: ObservedPair) -> Iterator[Step]:
    if observed.pinned != observed.changes.modules:
        yield Step(name="pin_modules", arguments={"digest": observed.changes.modules}, no_undo=FORWARD_ONLY)
    if not observed.changes.counts.is_empty:
        yield Step(name="apply_infrastructure", arguments={"changes": _dump(observed)}, no_undo=FORWARD_ONLY)
    if not (observed.changes.counts.is_empty and observed.is_ready):
        yield Step(name="verify_infrastructure", no_undo=READS_ONLY)
    yield from decide_pair(spec, pair)
    yield _report(observed)


def _report(observed: Observed) -> Step:
    return Step(name="publish_report", arguments={"changes": _dump(observed)}, no_undo=KEPT_REPORT)


def _dump(observed: Observed) -> dict[str, Any]:
    """The changes as a step's argument: what the ledger keeps of a plan that was applied."""
    return observed.changes.model_dump(mode="json")


def refuse_losses(spec: EnvironmentSpec, changes: Changes) -> None:
    """RefusedError where a plan deletes or replaces more resources than the environment's protection allows."""
    limit = spec.protection.deletion_limit
    if len(changes.lost) <= limit:
        return
    names = ", ".join(change.address for change in changes.lost[:5])
    raise RefusedError(
        f"{spec.name}: the plan would delete or replace {len(changes.lost)} resources, limit {limit}: {names}, …",
        "Split the change, or raise protection.deletion_limit in the environment's file for this one change.",
    )


def refuse_move(spec: EnvironmentSpec, lives: EnvironmentSpec) -> None:
    """RefusedError where `spec` wants another account, region or cloud than the one that the environment lives in."""
    wanted, found = (f"{one.cloud}, account {one.account}, {one.region}" for one in (spec, lives))
    if wanted != found:
        raise RefusedError(
            f"{spec.name} lives in {found}; its spec now says {wanted}, where nothing of it is.",
            f"`terrarium env destroy {spec.name}` and apply again, or give the new one another name.",
        )


def refuse_other_place(environment: str, made_in: tuple[str, str], now: tuple[str, str]) -> None:
    """RefusedError where an account's block no longer is the place that the environment was made in.

    A place is the account's name, and the kind of its endpoint with the account's number.
    """
    if made_in != now:
        raise RefusedError(
            f"{environment} was made in account {made_in[0]} ({made_in[1]}); its block is now {now[0]} ({now[1]}).",
            "Put the account's block back as it was (Prefect UI, Blocks). Nothing was changed.",
        )


def classify_failure(operation: Operation, *, was_ready: bool, may_have_changed: bool) -> EnvironmentStatus | None:
    """What a failed run leaves of its environment; None where it changed nothing that was there before."""
    if operation in (Operation.PLAN, Operation.BACKUP, Operation.VERIFY):
        return None
    if was_ready or operation in (Operation.DRILL, Operation.FAILOVER):
        return EnvironmentStatus.DEGRADED if may_have_changed else None
    return EnvironmentStatus.FAILED
