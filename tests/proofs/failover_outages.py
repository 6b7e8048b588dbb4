"""One outage of the proof of automatic failover: made, and what an observer outside and the ledger say of it."""

import os
import signal
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from blocks.kept_servers import kill_server
from blocks.ledger import RunRow
from blocks.postgres.replication import read_state
from blocks.postgres.session import connect
from blocks.process_folders import list_workers
from domain.pair import Node, other
from domain.third_look import Grounds
from tests.drill_world import Observer
from tests.polling import wait_for
from tests.watch_world import WatchedEnvironment

COOLDOWN_SECONDS = 60
#: So long a primary writes what its standby does not get, before it is killed.
CUT_SECONDS = 1.0


@dataclass
class Outage:
    """What a client outside saw of one failover, and what it lost, against what was said before.

    `spared_seconds`: from the moment whose writes the watcher said the standby had, all of them, to the first
    acknowledgement that was lost; below 0 the promise was broken. None where nothing was lost.
    """

    seconds: float
    lost_rows: int
    spared_seconds: float | None
    said_seconds: float
    late_rows: int


def lose_primary(watched: WatchedEnvironment, fault: str, log: Path) -> Outage:
    """One outage, from whole to whole, with an observer at the name and one pinned to the old primary."""
    pair, old, known = watched.pair, watched.primary(), len(watched.list_failovers())
    observer = Observer(pair.variables("app"), log)
    pinned = Observer(pair.variables("app", old), log.with_suffix(".pinned"))
    try:
        observer.wait()
        pinned.wait()
        strike(watched, old, fault)
        run = watched.wait_for_failover(known)
        assert (run.status, run.actor) == ("succeeded", "watcher"), run.error
        watched.check_order()
        written, late = observer.read(), pinned.read()
        seen = observer.stop()
    finally:
        observer.kill()
        pinned.kill()
    assert watched.primary() == other(old)
    assert len(watched.list_failovers()) == known + 1
    there = read_numbers(watched, observer.pid)
    lost = [at for number, at in written.items() if number not in there]
    grounds = read_grounds(watched, run)
    assert grounds.loss_seconds is not None, "an asynchronous pair"
    steps = {step.name: step.detail for step in watched.world.steps(run.run_id)}
    return Outage(
        seconds=seen["gap_seconds"],
        lost_rows=len(lost),
        spared_seconds=min(lost) - (grounds.decided_at.timestamp() - grounds.loss_seconds) if lost else None,
        said_seconds=grounds.loss_seconds,
        late_rows=sum(at > steps["fence_primary"]["fenced_at"] for at in late.values()),
    )


def read_numbers(watched: WatchedEnvironment, who: int) -> set[int]:
    """The rows of an observer, as the new primary has them."""
    with connect(watched.pair, "app") as session:
        return {row[0] for row in session.execute("SELECT number FROM observed WHERE who = %s", (str(who),))}


def read_grounds(watched: WatchedEnvironment, run: RunRow) -> Grounds:
    """What the watcher decided on, before anything was touched."""
    found = watched.world.prefect.read_run(run.run_id)
    assert found is not None
    return Grounds.model_validate(found.parameters["grounds"])


def wait_for_cooldown(watched: WatchedEnvironment) -> None:
    """Until the last failover is so long ago that one may start by itself."""
    ended = [run.finished_at for run in watched.list_failovers() if run.finished_at and run.status != "refused"]
    until = max(ended, default=datetime.min.replace(tzinfo=UTC)) + timedelta(seconds=COOLDOWN_SECONDS)
    wait_for("the cooldown is over", lambda: datetime.now(UTC) > until, 2 * COOLDOWN_SECONDS)


def strike(watched: WatchedEnvironment, node: Node, fault: str) -> None:
    """What happens to the primary. A link that is cut is mended once the standby is promoted: what waited in it is of
    no use to anybody then, and the old primary can join again."""
    if fault == "frozen":
        return freeze(watched, node)
    if fault == "killed":
        return kill(watched, node)
    with watched.cut("link"):
        until = time.monotonic() + CUT_SECONDS
        wait_for("it has written alone", lambda: time.monotonic() > until)
        kill(watched, node)
        wait_for("the other is promoted", lambda: read_state(watched.pair).of(other(node)).is_primary, 60, 0.02)
    return None


def kill(watched: WatchedEnvironment, node: Node) -> None:
    """As a host that is lost."""
    kill_server(watched.pair.stack, watched.pair.name(node))


def freeze(watched: WatchedEnvironment, node: Node) -> None:
    """As a machine that stands still."""
    for pid in list_workers(watched.pair.server(node).data, "postgres"):
        os.kill(pid, signal.SIGSTOP)
