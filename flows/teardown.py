"""Teardown: what an environment's state and tags name is removed, what must outlive it is kept, the rest is counted."""

from prefect import flow

from domain.status import Operation
from domain.teardown import decide_teardown, list_due
from tasks.expiry import act_on_due, read_temporary
from tasks.pair import observe_pair
from tasks.record import record_run
from tasks.run import read_clock
from tasks.steps import perform


@flow(name="tear_down_environment", flow_run_name="tear down {environment}")
def tear_down_environment(environment: str) -> None:
    """Remove an environment and report what stays; refused where its file protects it.

    Args:
        environment: Name of the environment to remove, as `terrarium env list` shows it.
    """
    with record_run(environment, Operation.TEARDOWN) as run:
        plan = decide_teardown(run.spec, observe_pair(run))
        for step in plan.steps:
            perform(run, step)


@flow(name="expire_environments", flow_run_name="look for expired environments")
def expire_environments() -> None:
    """Warn about temporary environments that end soon, and start the teardown of those whose time has come."""
    for due in list_due(read_temporary(), read_clock()):
        act_on_due(due)
