"""The proof of automatic failover: killed and frozen primaries, and what is done when a network is cut instead.

`make prove PIPELINE=failover`; KILLS=n for another number of outages of each kind. The watcher is the stack's own, its
runs are the worker's, and the outage is what an observer saw that has none of our code.
"""

import os
import signal
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blocks.kept_servers import start_server
from blocks.postgres.replication import read_state
from blocks.postgres.session import connect
from domain.pair import other
from tests.drill_world import Observer
from tests.flow_world import World
from tests.polling import wait_for
from tests.proofs.failover_outages import CUT_SECONDS, Outage, kill, lose_primary, wait_for_cooldown
from tests.proofs.page import Page
from tests.watch_world import WatchedEnvironment, make_watched

KILLS = int(os.environ.get("KILLS", "5"))
#: Longer than the detection time and everything that a run would need to begin.
QUIET_SECONDS = 6.0
#: Name, detection in seconds, and what happens to the primary.
KINDS = (("fast", 1, "killed"), ("slow", 5, "killed"), ("frozen", 5, "frozen"), ("behind", 1, "cut and killed"))
CUTS = (
    ("the link between the two servers is cut", ("link",)),
    ("the watcher and the clients are cut off, the standby is not", ("gateway",)),
)
ALIVE = "both ways are cut, and the primary lives"
BACK = "a primary that is killed and started again within 5 s of detection"
LATE = "the watcher is killed with the primary, and started after it"
NO_STANDBY = "both servers are killed, the standby first"
DRILLED = "an ungraceful drill of a watched environment"
HELD, UNFENCED = "a hold is in force", "the fence cannot begin"
COOLED = "another kill within the cooldown"


def name_kind(kind: tuple[str, int, str]) -> str:
    """The claim of a kind of outage."""
    _, seconds, fault = kind
    late = f" that were cut off from their standby {CUT_SECONDS:.0f} s before" if "cut" in fault else ""
    return f"{fault.removeprefix('cut and ')} primaries{late}, at {seconds} s of detection, {KILLS} outages"


CLAIMS = [*(claim for claim, _ in CUTS), ALIVE, BACK, LATE, NO_STANDBY, DRILLED, HELD, UNFENCED]
CLAIMS += [*map(name_kind, KINDS), COOLED]

pytestmark = pytest.mark.timeout(3600)


@dataclass
class Watches:
    """The environments of this proof by kind, and what was seen of their outages."""

    found: dict[str, WatchedEnvironment]
    outages: dict[str, list[Outage]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """The page, written in the end where every claim held: a run of a part of this file writes none."""
    page = Page(
        "failover",
        "Automatic failover (`recovery.failover: automatic`) of real, asynchronous PostgreSQL pairs by the watcher and "
        "the worker of a local stack. The outage is the longest time between two acknowledgements at an observer that "
        "has none of our code; detection is part of it. Relays stand for the networks: servers, watcher and run are "
        "on one machine. Beside it, Patroni 4.1 at its lowest settings took 19.5 to 20.3 s for a lost host, measured "
        "once, before this proof and not by it ([ADR 8](../adr/0008-a-watcher-not-patroni.md)).",
    )
    yield page
    if page.has(CLAIMS):
        page.write()


@pytest.fixture(scope="module")
def watches(world: World) -> Iterator[Watches]:
    """One environment for each kind of outage, so that one can have its cooldown while another is killed."""
    with ExitStack() as stack:
        found = {
            name: stack.enter_context(
                make_watched(world, name, failover_detection_seconds=seconds, failover_cooldown="1m")
            )
            for name, seconds, _ in KINDS
        }
        yield Watches(found)


@pytest.mark.parametrize(("claim", "relays"), CUTS)
def test_one_side_is_cut(watches: Watches, page: Page, claim: str, relays: tuple[str, ...]) -> None:
    """An alarm, no run, and one primary at every look."""
    fast = watches.found["fast"]
    primary = fast.primary()
    with fast.cut(*relays):
        fast.wait_for_state("divided")
        fast.stays_without_run(QUIET_SECONDS, "divided")
    fast.settle()
    assert fast.primary() == primary
    page.add(claim, f"for {QUIET_SECONDS:.0f} s no run, the alarm `divided`, one primary at every look")


def test_both_are_cut_and_the_primary_lives(watches: Watches, page: Page, tmp_path: Path) -> None:
    """A writer beside the cut still writes there: the run is refused before its first step, once."""
    fast = watches.found["fast"]
    primary, known = fast.primary(), len(fast.list_failovers())
    pinned = Observer(fast.pair.variables("app", primary), tmp_path / "pinned")
    try:
        pinned.wait()
        with fast.cut("link", "gateway"):
            run = fast.wait_for_failover(known)
            assert (run.status, run.actor, fast.world.steps(run.run_id)) == ("refused", "watcher", [])
            fast.stays_without_run(QUIET_SECONDS, "blocked")
        fast.settle()
        written = list(pinned.read())
        pinned.stop()
    finally:
        pinned.kill()
    assert fast.primary() == primary
    with connect(fast.pair, "app", primary) as session:
        rows = session.execute("SELECT number FROM observed WHERE who = %s", (str(pinned.pid),))
        assert set(written) <= {number for (number,) in rows}
    page.add(
        ALIVE,
        f"one run, refused by its third look, without a step; then the alarm `blocked`; one primary at every look; a "
        f"writer beside the cut kept all of its {len(written)} rows",
    )


def test_a_primary_that_is_back_in_time(watches: Watches, page: Page) -> None:
    """Killed, and started within the detection time: no run."""
    slow = watches.found["slow"]
    primary, known = slow.primary(), len(slow.list_failovers())
    kill(slow, primary)
    slow.wait_for_state("missed")
    start_server(slow.pair.stack, slow.pair.name(primary))
    slow.settle()
    assert (slow.primary(), len(slow.list_failovers())) == (primary, known)
    page.add(BACK, "no run")


def test_a_watcher_that_came_too_late(watches: Watches, page: Page) -> None:
    """It has never seen the primary whole, so it cannot know what would be lost."""
    fast = watches.found["fast"]
    primary, stack = fast.primary(), fast.world.stack
    killed = stack.parts["watcher"].pid
    assert killed
    os.kill(killed, signal.SIGKILL)
    kill(fast, primary)
    wait_for("another watcher runs", lambda: stack.parts["watcher"].pid not in (None, killed))
    wait_for("it looks", lambda: stack.parts["watcher"].is_healthy)
    known = len(fast.list_failovers())
    end = time.monotonic() + QUIET_SECONDS
    wait_for("the quiet is over", lambda: time.monotonic() > end)
    fast.wait_for_state("blocked")
    assert len(fast.list_failovers()) == known
    start_server(fast.pair.stack, fast.pair.name(primary))
    fast.settle()
    page.add(LATE, "no run, until it has seen the pair whole")


def test_the_standby_is_gone_too(watches: Watches, page: Page) -> None:
    """There is nothing to promote."""
    fast = watches.found["fast"]
    primary = fast.primary()
    kill(fast, other(primary))
    wait_for("the standby is gone", lambda: not read_state(fast.pair).of(other(primary)).is_running)
    kill(fast, primary)
    fast.wait_for_state("blocked", 60)
    fast.stays_without_run(QUIET_SECONDS, "blocked")
    for node in (primary, other(primary)):
        start_server(fast.pair.stack, fast.pair.name(node))
    fast.settle()
    page.add(NO_STANDBY, "no run, the alarm `blocked`")


def test_a_drill_is_no_outage(watches: Watches, page: Page) -> None:
    """What a run does to the pair is the run's: the watcher starts nothing beside it."""
    fast = watches.found["fast"]
    known = len(fast.list_failovers())
    run = fast.drill("ungraceful", "killed")
    assert run.status == "succeeded", run.error
    fast.settle()
    assert len(fast.list_failovers()) == known
    page.add(DRILLED, "passed; no run beside it")


def test_a_hold_and_a_fence_that_cannot_be(watches: Watches, page: Page) -> None:
    """A hold forbids it; and where the fence cannot begin, nothing is promoted."""
    slow = watches.found["slow"]
    primary, known, ledger = slow.primary(), len(slow.list_failovers()), slow.world.ledger
    ledger.add_hold(slow.name, "ada", "the proof", datetime.now(UTC) + timedelta(hours=1))
    kill(slow, primary)
    slow.wait_for_state("blocked")
    slow.stays_without_run(QUIET_SECONDS, "blocked")
    with slow.world.faults.order(slow.name, "fence_primary", "begin"):
        ledger.release_hold(slow.name, "ada")
        run = slow.wait_for_failover(known)
        assert (run.status, run.actor) == ("failed", "watcher")
        assert read_state(slow.pair).primaries == ()
        slow.stays_without_run(QUIET_SECONDS, "blocked")
    page.add(HELD, "no run, the alarm `blocked`; released, there is one")
    page.add(UNFENCED, "the run fails, nothing is promoted, and there is no second run for this outage")
    start_server(slow.pair.stack, slow.pair.name(primary))
    slow.settle()
    wait_for_cooldown(slow)


def test_outages(watches: Watches, page: Page, tmp_path: Path) -> None:
    """Every one is failed over by one run; the observer's outage, and its loss against what was said before."""
    for number in range(KILLS):
        for name, _, fault in KINDS:
            watched = watches.found[name]
            wait_for_cooldown(watched)
            watched.settle()
            watches.outages.setdefault(name, []).append(lose_primary(watched, fault, tmp_path / f"{name}-{number}"))
    for kind in KINDS:
        page.add(name_kind(kind), check_outages(watches.outages[kind[0]], is_behind="cut" in kind[2]))


def check_outages(outages: list[Outage], *, is_behind: bool) -> str:
    """No row is gone that was acknowledged before the moment up to which the standby was said to have everything."""
    told = [one.seconds for one in outages]
    spared = [one.spared_seconds for one in outages if one.spared_seconds is not None]
    assert sum(one.late_rows for one in outages) == 0
    assert min(spared, default=0.0) >= 0, outages
    assert not is_behind or len(spared) == len(outages), "what was written after the cut is lost"
    earliest = f", the earliest of them {min(spared):.1f} s after that moment" if spared else ""
    return (
        f"outage {statistics.median(told):.1f} s (median; {min(told):.1f} to {max(told):.1f} s); one run each, the "
        f"actor is `watcher`; {sum(one.lost_rows for one in outages)} acknowledged rows lost, none from before the "
        f"moment whose writes the standby was said to have{earliest}; that moment was at most "
        f"{max(one.said_seconds for one in outages):.1f} s before the decision; 0 rows acknowledged by the old "
        "primary after the fence; afterwards one primary, and both sides equal"
    )


def test_the_cooldown(watches: Watches, page: Page) -> None:
    """The last outage of `frozen` was just now: killed again, nothing starts; a person's failover does."""
    watched = watches.found["frozen"]
    watched.settle()
    kill(watched, watched.primary())
    watched.wait_for_state("blocked")
    watched.stays_without_run(QUIET_SECONDS, "blocked")
    run = watched.run("failover", reason="a person's", accept_loss=True)
    assert run.status == "succeeded", run.error
    watched.check_order()
    page.add(COOLED, "no run, the alarm `blocked`; a person's failover goes on")
