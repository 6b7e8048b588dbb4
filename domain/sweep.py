"""What becomes of runs whose process may have died: nobody but the sweeper records the end of those that are dead.

Order: only what is proved dead is touched, and only after its Terraform has ended too, which was interrupted by the
death and still writes its state. What a dead run brought for itself is unwound; infrastructure goes forward, so the
next apply resumes it; a run of which only the record of its end is missing gets the end that it had. A failover is
finished. One that died before its first step has nothing to unwind: where there is no primary, what it was asked for is
judged once more.
"""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from domain.provision import classify_failure
from domain.status import LEAVES, EnvironmentStatus, Operation, RunStatus

#: The last step of every plan: after it only the outcome is missing.
LAST_STEPS = frozenset(
    {"publish_report", "publish_removal_report", "publish_drill_report", "publish_failover_report"}
    | {"publish_rds_drill_report"}
)


class BegunStep(BaseModel):
    """A step of a run; its outcome is `begun` where none is recorded. `is_earlier`: of an earlier attempt."""

    model_config = ConfigDict(frozen=True)

    step_id: int
    name: str
    outcome: str
    is_earlier: bool = False


class BegunRun(BaseModel):
    """A run that a process acts for. `operation` is None for one that died while it waited, before its first record."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    environment: str
    operation: Operation | None
    is_dead: bool
    has_ended: bool = False
    is_finishing: bool = False
    silent_seconds: float = 0.0
    was_ready: bool = False
    may_have_changed: bool = False
    steps: tuple[BegunStep, ...] = ()


class DeadRun(BaseModel):
    """What is to be done for a dead run: `status` is None where there is nothing to record.

    `interrupted` are the steps that have no outcome; `resume` says that the run had come to its end, `is_unbegun` that
    it is a failover that had not come to its first step.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    environment: str
    operation: Operation | None
    status: RunStatus | None = None
    leaves: EnvironmentStatus | None = None
    resume: bool = False
    is_unbegun: bool = False
    interrupted: tuple[int, ...] = ()


class SweepPlan(BaseModel):
    """The dead runs, but for those whose Terraform still ends; and those that are silent without a proof."""

    model_config = ConfigDict(frozen=True)

    dead: tuple[DeadRun, ...] = ()
    silent: tuple[BegunRun, ...] = ()


def decide_sweep(begun: Iterable[BegunRun], silence_seconds: float) -> SweepPlan:
    """Who is swept and how. A run without a proof of its death is reported after `silence_seconds`, and left alone."""
    runs = list(begun)
    return SweepPlan(
        dead=tuple(_decide_end(run) for run in runs if run.is_dead and not run.is_finishing),
        silent=tuple(run for run in runs if not run.is_dead and run.silent_seconds > silence_seconds),
    )


def name_way_on(dead: DeadRun) -> str:
    """What a person does about a run that died, once it was swept."""
    if dead.operation in (Operation.DRILL, Operation.FAILOVER):
        return (
            "See whether its pair is in order: `make status` shows the servers, "
            f"the artifact recovery-{dead.environment} what is to be mended."
        )
    if dead.operation in (Operation.PROVISION, Operation.TEARDOWN):
        return (
            f"What exists is kept; apply or destroy again and it continues: `terrarium env apply {dead.environment}`."
        )
    return "What it had not finished was taken back: start it again."


def _decide_end(run: BegunRun) -> DeadRun:
    about = {"run_id": run.run_id, "environment": run.environment, "operation": run.operation}
    if run.operation is None or run.has_ended:
        return DeadRun(**about)
    steps = tuple(step for step in run.steps if not step.is_earlier)
    if _is_complete(steps):
        return DeadRun(**about, status=RunStatus.SUCCEEDED, leaves=LEAVES.get(run.operation), resume=True)
    return DeadRun(
        **about,
        status=RunStatus.CRASHED,
        leaves=_classify(run),
        is_unbegun=run.operation == Operation.FAILOVER and not steps,
        interrupted=tuple(step.step_id for step in run.steps if step.outcome == "begun"),
    )


def _classify(run: BegunRun) -> EnvironmentStatus | None:
    """A drill or failover is unwound before its end is written, and then the pair is as it should be."""
    assert run.operation is not None
    has_changed = run.may_have_changed and run.operation not in (Operation.DRILL, Operation.FAILOVER)
    return classify_failure(run.operation, was_ready=run.was_ready, may_have_changed=has_changed)


def _is_complete(steps: tuple[BegunStep, ...]) -> bool:
    return bool(steps) and steps[-1].name in LAST_STEPS and steps[-1].outcome == "succeeded"
