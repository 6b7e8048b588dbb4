"""The third look of a failover that nobody asked for: from where the run is, past the gateway and the link."""

from datetime import datetime

from prefect import task

from blocks.postgres.watch import list_answering
from domain.pair import NODES, Node
from domain.readiness import Recoverability
from domain.third_look import Grounds, LateLook, ThirdLook
from tasks.known_pair import find_pair
from tasks.ledger import ledger
from tasks.retry import REPEATABLE
from tasks.run import Run, read_clock

#: So long, and not longer than the detection time, the run asks for the byte again and again.
LONGEST_SECONDS = 2.0


@task(**REPEATABLE)
def look_third(run: Run, observed: Recoverability, grounds: Grounds | None) -> ThirdLook | None:
    """Which servers answer this run directly, and what forbids it by now; None where a person asked for the run."""
    if grounds is None:
        return None
    return ThirdLook(
        grounds=grounds,
        answering=_list_answering(run),
        spoken=tuple(side.name for side in observed.sides if side.role == "primary"),
        standby=_find_standby(observed),
        hold=ledger().read_hold(run.environment),
        last_failover_at=ledger().read_last_failover_at(run.environment),
        at=read_clock(),
    )


@task(**REPEATABLE)
def look_late(run: Run, observed: Recoverability, begun_at: datetime) -> LateLook:
    """The same look, for the sweeper, at a run that a person asked for."""
    answering = _list_answering(run)
    return LateLook(at=read_clock(), begun_at=begun_at, answering=answering, standby=_find_standby(observed))


def _list_answering(run: Run) -> tuple[Node, ...]:
    seconds = min(run.spec.recovery.failover_detection_seconds, LONGEST_SECONDS)
    return list_answering(find_pair(run.environment), seconds)


def _find_standby(observed: Recoverability) -> Node | None:
    standby = observed.find("standby")
    return next((node for node in NODES if standby and node == standby.name), None)
