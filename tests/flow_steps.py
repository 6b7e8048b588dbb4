"""For every step of a flow: it fails, and is performed twice; afterwards the world is as before or as the run says.

Not a list of failures but the same questions for each step, so that a new step is asked them too.
"""

from typing import Any

from blocks.ledger import RunRow
from tests.flow_world import World


def every_step_can_fail(world: World, word: str, name: str, version: int | None, steps: tuple[str, ...]) -> None:
    """Refuse the record of each step's beginning, then of its end, which is a failure before and after its effect.

    Each run continues what the one before left, so it performs again whatever that had done; AssertionError where it
    does not come as far as the next fault.
    """
    for step in steps:
        for moment in ("begin", "end"):
            before, status_before = world.observe(name), world.status(name)
            with world.faults.order(name, step, moment):
                run = world.run(word, name, version)
            assert (run.status, run.error.partition("refused: ")[2]) == (
                "failed",
                f"rehearsed fault at the {moment} of {step}.",
            )
            check_what_is_left(world, name, run, before, status_before)


def check_what_is_left(world: World, name: str, run: RunRow, before: dict[str, Any], status_before: str | None) -> None:
    """A failed run has changed nothing, or says what there is now; it leaves no lock, plan or scratch folder."""
    after = world.observe(name)
    assert world.status(name) == (run.environment_status or status_before)
    if run.environment_status is None:
        assert after == before
    else:
        assert run.environment_status in ("failed", "degraded")
        told = (run.report or {}).get("exists", list(before["resources"]))
        assert told == list(after["resources"])
        assert world.read(name).resources == len(after["resources"])
    assert (after["is_locked"], after["plans"]) == (False, before["plans"])
    assert world.is_clean(run.run_id)


def every_step_can_repeat(world: World, word: str, name: str, version: int | None, steps: tuple[str, ...]) -> None:
    """Each step of a run is performed twice, and the second time changes nothing: the flow itself compares."""
    run = world.run(f"{word} twice", name, version)
    assert (run.status, run.error) == ("succeeded", "")
    assert [step.name for step in world.steps(run.run_id)] == [step for step in steps for _ in range(2)]
