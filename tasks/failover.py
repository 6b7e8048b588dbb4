"""What a failover decides on: in its own process, or for the sweeper after its death, by what the ledger has of it."""

from pydantic import BaseModel, ConfigDict

from domain.drill import DrillPlan, decide_fail_over, refuse_overtaken
from domain.readiness import Recoverability
from domain.step import Step
from domain.third_look import Grounds, refuse_to_finish, refuse_unless_lost
from tasks.asker import read_asked_at
from tasks.ledger import ledger
from tasks.readiness import observe_recovery
from tasks.run import Run
from tasks.watch import look_late, look_third


class Asked(BaseModel):
    """What a failover was asked for, of the parameters that the ledger has of its run."""

    model_config = ConfigDict(frozen=True)

    accept_loss: bool = False
    grounds: Grounds | None = None


def plan_failover(run: Run, *, accept_loss: bool, grounds: Grounds | None) -> DrillPlan:
    """The steps of a failover. RefusedError where one was done meanwhile, or where a rule forbids it."""
    observed = observe_recovery(run.spec)
    last_failover_at = ledger().read_last_failover_at(run.environment)
    refuse_overtaken(run.environment, observed, read_asked_at(), last_failover_at)
    return _judge(run, observed, Asked(accept_loss=accept_loss, grounds=grounds))


def judge_unbegun(run: Run) -> Step | None:
    """The first step that a failover would have begun had it not died; None where a primary answers.

    It is judged by what it was asked for and by what is true now. RefusedError as in its own process, and where it may
    not be wanted any more.
    """
    observed, begun = observe_recovery(run.spec), ledger().read_run(run.run_id)
    assert begun is not None
    if observed.find("primary"):
        return None
    asked = Asked.model_validate(begun.parameters or {})
    if asked.grounds is None:
        refuse_to_finish(run.environment, look_late(run, observed, begun.begun_at))
    return _judge(run, observed, asked).steps[0]


def _judge(run: Run, observed: Recoverability, asked: Asked) -> DrillPlan:
    """Something may be lost and nobody accepted that, or the watcher has no reason: RefusedError."""
    refuse_unless_lost(run.environment, run.spec.recovery, look_third(run, observed, asked.grounds))
    return decide_fail_over(run.spec, observed, accepts_loss=asked.accept_loss or asked.grounds is not None)
