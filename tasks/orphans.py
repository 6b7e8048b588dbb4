"""What dead runs made and no state knows is taken into the state, or removed, by the next run that holds the lease."""

from collections.abc import Callable

from prefect import get_run_logger, task

from blocks.inventory import observe_inventory
from blocks.ledger.leases import CHANGING_OPERATIONS
from blocks.orphan_removal import delete_orphan
from domain.errors import PermanentError
from domain.orphans import Orphan, Owner, decide_orphans, list_unfinished
from domain.progress import Event
from domain.state import read_resources
from domain.status import Operation, RunStatus
from tasks.ledger import ledger
from tasks.retry import REPEATABLE
from tasks.run import Run

#: Runs that are looked at, newest first: those since the last one that ended well, which knew all that there was.
RUNS_LOOKED_AT = 50


def adopt_orphans(run: Run, import_resource: Callable[[Run, str, str], None]) -> None:
    """Import or delete what earlier runs left outside the state. PermanentError names what only a person can put right.

    A run that takes no lease, a plan, only tells: another run may change the environment meanwhile.
    """
    orphans = _find_orphans(run)
    if run.operation not in CHANGING_OPERATIONS:
        for orphan in orphans:
            get_run_logger().warning("A dead run left %s; the next apply acts on it: %s.", orphan, orphan.action)
        return
    if told := [orphan for orphan in orphans if orphan.action == "tell"]:
        _refuse(run, told)
    for orphan in orphans:
        get_run_logger().warning("A dead run left %s: %s.", orphan, orphan.action)
        if orphan.action == "import":
            import_resource(run, orphan.address, orphan.resource_id)
        else:
            remove_orphan(run, orphan)


def _find_orphans(run: Run) -> tuple[Orphan, ...]:
    """Costs a few queries where the journal and the state agree, which is nearly always."""
    resources = read_resources(run.account.read_state(run.environment) or {})
    unfinished = list_unfinished(_read_events(run), resources)
    if not unfinished:
        return ()
    regions = tuple(region for region in (run.spec.region, run.spec.recovery_region) if region)
    inventory = observe_inventory(run.account, regions, {event.resource_type for event in unfinished})
    return decide_orphans(unfinished, resources, inventory, Owner(run.environment, run.origin_run_id))


def _read_events(run: Run) -> list[Event]:
    """The journals of the runs of this generation since the last that ended well, oldest first.

    None of this run's, and none of those that may live: what they began is not left.
    """
    living = {row.run_id for row in ledger().list_live(run.environment) if not row.is_proved_dead}
    events: list[Event] = []
    for earlier in ledger().list_runs(run.environment, RUNS_LOOKED_AT):
        has_ended_well = earlier.operation != Operation.PLAN and earlier.status == RunStatus.SUCCEEDED
        if has_ended_well or run.run_id == run.origin_run_id:
            break
        if earlier.run_id not in living | {run.run_id}:
            events = ledger().read_journal(earlier.run_id) + events
        if earlier.run_id == run.origin_run_id:
            break
    return events


@task(**REPEATABLE)
def remove_orphan(run: Run, orphan: Orphan) -> None:
    """Delete what belongs to no address and holds no data; what is gone is gone."""
    delete_orphan(run.account, orphan.resource_type, orphan.region, orphan.resource_id)


def _refuse(run: Run, told: list[Orphan]) -> None:
    names = ", ".join(str(orphan) for orphan in told)
    raise PermanentError(
        f"{run.environment}: a run that died left {names}, which no address of the plan can be told to be.",
        "Look at each: delete it, or import it, in the account; docs/runbooks/sweep.md says how. Then run again.",
    )
