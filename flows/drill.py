"""Recovery: rehearsed as a drill, or done for real as a failover. Both walk the same middle of the same plan."""

from prefect import flow

from domain.drill import Fault, Mode, decide_drill
from domain.readiness import check_window, decide_readiness
from domain.status import Operation
from domain.third_look import Grounds
from tasks.drill_report import read_drill_approval
from tasks.failover import plan_failover
from tasks.readiness import list_recoverable, observe_recovery, report_readiness, schedule_drills, tell_alarms
from tasks.record import record_run
from tasks.run import read_clock
from tasks.steps import perform


@flow(name="drill_recovery", flow_run_name="drill {environment}: {mode}")
def drill_recovery(environment: str, mode: Mode = "graceful", fault: Fault = "killed") -> None:
    """Rehearse the recovery of an environment: fail over, measure what a client outside saw, fail back, compare.

    Args:
        environment: Name of the environment, such as dev: it needs a database with `provider: postgres`.
        mode: graceful is a planned switchover, in ungraceful the primary fails.
        fault: What happens to the primary of an ungraceful drill: killed, cut_off or frozen (both are still alive).
    """
    with record_run(environment, Operation.DRILL) as run:
        now = read_clock()
        observed = observe_recovery(run.spec)
        findings = [*decide_readiness(run.spec, observed, now), *check_window(run.spec, now)]
        approval = read_drill_approval(run, mode, fault)
        plan = decide_drill(run.spec, observed, findings, mode, fault, approval)
        for step in plan.steps:
            perform(run, step)


@flow(name="fail_over", flow_run_name="fail over {environment}: {reason}")
def fail_over(environment: str, reason: str, accept_loss: bool = False, grounds: Grounds | None = None) -> None:
    """Fail an environment over to its standby, for real. It waits for no window, approval or hold.

    Args:
        environment: Name of the environment, such as dev.
        reason: Why, for the ledger.
        accept_loss: Go on although writes may be lost. Without it the run says how much, and is refused.
        grounds: The watcher's, when it decided and what could be lost then. The run looks itself, and is refused where
            the primary answers it, a hold or the cooldown is in force, or more may be lost by now than the file allows.
    """
    with record_run(environment, Operation.FAILOVER) as run:
        plan = plan_failover(run, accept_loss=accept_loss, grounds=grounds)
        for step in plan.steps:
            perform(run, step)


@flow(name="evaluate_recovery", flow_run_name="evaluate recovery plans")
def evaluate_recovery() -> None:
    """Look whether each environment's recovery plan would work now, and keep the schedules of its drills.

    Nothing is touched. The run fails where a plan would not work, or a drill failed or is overdue.
    """
    evaluated = [report_readiness(one) for one in list_recoverable()]
    schedule_drills()
    tell_alarms(evaluated)
