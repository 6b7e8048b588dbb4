"""Who is swept and how: only the proved dead, and never more than what they brought for themselves is undone."""

from typing import Any

import pytest

from domain.status import EnvironmentStatus, Operation, RunStatus
from domain.sweep import BegunRun, BegunStep, decide_sweep, name_way_on

SILENCE_SECONDS = 60.0


def make_run(**changes: Any) -> BegunRun:
    """A dead provisioning."""
    known = {"run_id": "run-1", "environment": "dev", "operation": Operation.PROVISION, "is_dead": True}
    return BegunRun.model_validate(known | changes)


def make_steps(*outcomes: tuple[str, str]) -> tuple[BegunStep, ...]:
    """Steps by name and outcome."""
    return tuple(
        BegunStep(step_id=number, name=name, outcome=outcome) for number, (name, outcome) in enumerate(outcomes)
    )


def test_a_living_run_is_left_alone() -> None:
    """Whatever it has begun."""
    plan = decide_sweep([make_run(is_dead=False, steps=make_steps(("apply_infrastructure", "begun")))], SILENCE_SECONDS)
    assert (plan.dead, plan.silent) == ((), ())


def test_a_silent_run_without_proof_is_reported_and_left_alone() -> None:
    """Silence is no proof: its machine may only be cut off."""
    silent = make_run(is_dead=False, silent_seconds=61)
    plan = decide_sweep([silent, make_run(is_dead=False, silent_seconds=59)], SILENCE_SECONDS)
    assert (plan.dead, plan.silent) == ((), (silent,))


def test_a_dead_run_waits_for_its_terraform() -> None:
    """It was interrupted by the death, and still writes its state."""
    assert decide_sweep([make_run(is_finishing=True)], SILENCE_SECONDS).dead == ()
    assert len(decide_sweep([make_run(is_finishing=False)], SILENCE_SECONDS).dead) == 1


@pytest.mark.parametrize(
    ("operation", "was_ready", "may_have_changed", "leaves"),
    [
        (Operation.PROVISION, False, True, EnvironmentStatus.FAILED),
        (Operation.PROVISION, False, False, EnvironmentStatus.FAILED),
        (Operation.PROVISION, True, True, EnvironmentStatus.DEGRADED),
        (Operation.PROVISION, True, False, None),
        (Operation.TEARDOWN, True, True, EnvironmentStatus.DEGRADED),
        (Operation.PLAN, True, False, None),
    ],
)
def test_a_dead_run_is_a_crash(
    operation: Operation, was_ready: bool, may_have_changed: bool, leaves: EnvironmentStatus | None
) -> None:
    """What it leaves is what a failure at that place leaves."""
    run = make_run(operation=operation, was_ready=was_ready, may_have_changed=may_have_changed)
    (dead,) = decide_sweep([run], SILENCE_SECONDS).dead
    assert (dead.status, dead.leaves, dead.resume) == (RunStatus.CRASHED, leaves, False)


@pytest.mark.parametrize(
    ("operation", "steps", "is_unbegun"),
    [
        (Operation.FAILOVER, (), True),
        (Operation.FAILOVER, make_steps(("fence_primary", "begun")), False),
        (Operation.DRILL, (), False),
    ],
)
def test_only_a_failover_is_judged_once_more(
    operation: Operation, steps: tuple[BegunStep, ...], is_unbegun: bool
) -> None:
    """One that had begun a step is finished by that step's undo; a drill that had begun none has broken nothing."""
    (dead,) = decide_sweep([make_run(operation=operation, steps=steps)], SILENCE_SECONDS).dead
    assert (dead.is_unbegun, dead.leaves) == (is_unbegun, None)


def test_what_an_earlier_attempt_did_is_not_done_by_this_one() -> None:
    """A run that somebody retried and that died at once has neither begun nor done anything."""
    step = BegunStep(step_id=1, name="publish_failover_report", outcome="succeeded", is_earlier=True)
    (dead,) = decide_sweep([make_run(operation=Operation.FAILOVER, steps=(step,))], SILENCE_SECONDS).dead
    assert (dead.status, dead.is_unbegun) == (RunStatus.CRASHED, True)


@pytest.mark.parametrize(
    ("operation", "way"),
    [
        (Operation.PROVISION, "apply or destroy again"),
        (Operation.FAILOVER, "recovery-dev"),
        (Operation.VERIFY, "start"),
    ],
)
def test_the_way_on_is_that_of_its_operation(operation: Operation, way: str) -> None:
    """Nobody is sent to apply again after a failover."""
    (dead,) = decide_sweep([make_run(operation=operation)], SILENCE_SECONDS).dead
    assert way in name_way_on(dead)


def test_what_it_began_is_named() -> None:
    """A step without an outcome gets one; those that have one keep it."""
    steps = make_steps(("save_plan", "succeeded"), ("publish_report", "begun"))
    (dead,) = decide_sweep([make_run(operation=Operation.PLAN, steps=steps)], SILENCE_SECONDS).dead
    assert dead.interrupted == (1,)


@pytest.mark.parametrize(
    ("operation", "last", "leaves"),
    [
        (Operation.PROVISION, "publish_report", EnvironmentStatus.READY),
        (Operation.TEARDOWN, "publish_removal_report", EnvironmentStatus.DESTROYED),
        (Operation.PLAN, "publish_report", None),
    ],
)
def test_a_run_that_had_done_everything_gets_its_end(
    operation: Operation, last: str, leaves: EnvironmentStatus | None
) -> None:
    """Only the record was missing."""
    steps = make_steps(("save_plan", "succeeded"), (last, "succeeded"))
    (dead,) = decide_sweep([make_run(operation=operation, steps=steps)], SILENCE_SECONDS).dead
    assert (dead.status, dead.leaves, dead.resume) == (RunStatus.SUCCEEDED, leaves, True)


@pytest.mark.parametrize("changes", [{"operation": None}, {"has_ended": True}])
def test_a_run_that_died_before_or_after_its_record_only_lets_go(changes: dict[str, Any]) -> None:
    """There is nothing to record."""
    (dead,) = decide_sweep([make_run(**changes)], SILENCE_SECONDS).dead
    assert (dead.status, dead.leaves, dead.interrupted) == (None, None, ())
