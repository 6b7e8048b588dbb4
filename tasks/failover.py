"""What a failover decides on: in its own process, or for the sweeper after its death, by what the ledger has of it."""

from pydantic import BaseModel, ConfigDict

from domain.drill import DrillPlan, decide_fail_over
from domain.readiness import Recoverability
from domain.third_look import Grounds, refuse_unless_lost
from tasks.ledger import ledger
from tasks.readiness import observe_recovery
from tasks.run import Run
from tasks.watch import look_third


class Asked(BaseModel):
    """What a failover was asked for, of the parameters that the ledger has of its run."""

    model_config = ConfigDict(frozen=True)

    accept_loss: bool = False
    grounds: Grounds | None = None


def judge_failover(run: Run, observed: Recoverability, *, accept_loss: bool, grounds: Grounds | None) -> DrillPlan:
    """Its steps. RefusedError where something may be lost and nobody accepted that, or the watcher has no reason."""
    refuse_unless_lost(run.environment, run.spec.recovery, look_third(run, observed, grounds))
    return decide_fail_over(run.spec, observed, accepts_loss=accept_loss or grounds is not None)


def begin_unbegun(run: Run) -> None:
    """Begin the first step that a failover would have begun had it not died, so that its undo finishes the failover.

    It is judged by what it was asked for and by what is true now; RefusedError as in its own process. Where a primary
    answers there is nothing to finish.
    """
    begun = ledger().read_run(run.run_id)
    asked = Asked.model_validate((begun and begun.parameters) or {})
    observed = observe_recovery(run.spec)
    if observed.find("primary"):
        return
    first = judge_failover(run, observed, accept_loss=asked.accept_loss, grounds=asked.grounds).steps[0]
    ledger().begin_step(run.run_id, first.name, first.arguments, first.undo)
