"""Automatic failover on a real pair: the stack's watcher, its worker, and servers that are killed or cut off."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psutil
import pytest

from blocks.kept_servers import kill_server, start_server
from domain.pair import other
from tests.flow_world import World
from tests.polling import wait_for
from tests.watch_world import WatchedEnvironment, make_watched

#: Longer than the detection time and everything that a run would need to begin.
LONG_SECONDS = 6.0
COOLDOWN_OVER = 'terrarium_watch_cooldown_seconds{{environment="{}"}} 0.0'


@pytest.fixture(scope="module")
def watched(world: World) -> Iterator[WatchedEnvironment]:
    """One environment, which every test leaves whole for the next; a lost primary counts after a second."""
    with make_watched(world, "watched", failover_detection_seconds=1, failover_cooldown="1m") as found:
        yield found


@pytest.mark.parametrize("relay", ["link", "gateway"])
def test_one_vantage_point_alone_is_no_outage(watched: WatchedEnvironment, relay: str) -> None:
    """The link between the servers, or the way of clients and watcher, is cut: an alarm, and no run."""
    primary = watched.primary()
    with watched.cut(relay):
        watched.wait_for_state("divided")
        watched.stays_without_run(LONG_SECONDS, "divided")
    watched.settle()
    assert watched.primary() == primary
    watched.check_order()


def test_a_primary_that_nobody_reaches_and_that_lives_is_not_doubled(watched: WatchedEnvironment) -> None:
    """Both ways are cut: the run looks from a third place and is refused before it touches anything; once."""
    primary, known = watched.primary(), len(watched.list_failovers())
    with watched.cut("link", "gateway"):
        run = watched.wait_for_failover(known)
        assert (run.status, run.actor) == ("refused", "watcher")
        assert f"its primary {primary} has answered this run in a session, so it is not lost" in (run.error or "")
        assert watched.world.steps(run.run_id) == []
        watched.stays_without_run(LONG_SECONDS, "blocked")
    watched.settle()
    assert watched.primary() == primary
    assert len(watched.list_failovers()) == known + 1
    watched.check_order()


def test_a_run_that_begins_late_is_refused(watched: WatchedEnvironment) -> None:
    """Decided two hours ago, when little could be lost: what is true by now counts, and nothing is touched."""
    primary, decided_at = watched.primary(), datetime.now(UTC) - timedelta(hours=2)
    grounds = {"decided_at": decided_at.isoformat(), "loss_seconds": 6.0}
    run = watched.run("failover", reason="a worker was away", grounds=grounds)
    assert (run.status, watched.world.steps(run.run_id)) == ("refused", [])
    assert "this failover was decided 720" in (run.error or "")
    assert watched.primary() == primary


def test_a_hold_keeps_the_watcher_out(watched: WatchedEnvironment) -> None:
    """Somebody works on the pair: the killed primary is an alarm, and comes back by hand."""
    ledger, pair, primary = watched.world.ledger, watched.pair, watched.primary()
    ledger.add_hold(watched.name, "ada", "I exchange its disk", datetime.now(UTC) + timedelta(hours=1))
    try:
        kill_server(pair.stack, pair.name(primary))
        watched.wait_for_state("blocked")
        watched.stays_without_run(LONG_SECONDS, "blocked")
        start_server(pair.stack, pair.name(primary))
        watched.settle()
    finally:
        ledger.release_hold(watched.name, "ada")
    assert watched.primary() == primary


def test_a_run_that_waits_hides_no_outage(watched: WatchedEnvironment) -> None:
    """It has the environment and has not come to the pair: the killed primary is an alarm, and nothing is forgotten."""
    ledger, pair, primary, run_id = watched.world.ledger, watched.pair, watched.primary(), str(uuid4())
    log = watched.world.stack.settings.state_dir / "logs" / "watcher.log"
    ledger.enter_run(run_id, watched.name)
    try:
        assert ledger.take_lease(watched.name, run_id) is None
        known = log.stat().st_size
        kill_server(pair.stack, pair.name(primary))
        watched.wait_for_state("blocked")
        watched.stays_without_run(LONG_SECONDS, "blocked")
        told = log.read_text()[known:]
        assert f"run {run_id} (beginning by ?" in told
        assert "has the environment, and has not come to the pair" in told
        assert "never seen to have all" not in told
        start_server(pair.stack, pair.name(primary))
        watched.settle()
    finally:
        ledger.leave_run(run_id)


def test_a_killed_primary_is_failed_over_once_and_then_there_is_a_cooldown(watched: WatchedEnvironment) -> None:
    """One run, the watcher's, with what was seen and may be lost as its reason; a second kill waits."""
    pair, old, known = watched.pair, watched.primary(), len(watched.list_failovers())
    watched.write(1)
    watched.settle()
    kill_server(pair.stack, pair.name(old))
    run = watched.wait_for_failover(known)
    assert (run.status, run.actor) == ("succeeded", "watcher"), run.error
    request = watched.world.ledger.read_request(run.request_id or "")
    assert request is not None
    assert "clients without an answer for" in request.reason
    assert "recovery.rpo allows 300 s" in request.reason
    assert watched.world.steps(run.run_id)[0].name == "fence_primary"
    assert watched.primary() == other(old)
    assert watched.read() >= {1}
    watched.check_order()
    watched.settle()
    assert COOLDOWN_OVER.format(watched.name) not in watched.read_metrics()
    kill_server(pair.stack, pair.name(other(old)))
    watched.wait_for_state("blocked")
    watched.stays_without_run(LONG_SECONDS, "blocked")
    assert len(watched.list_failovers()) == known + 1
    run = watched.run("failover", reason="a person", accept_loss=True)
    assert run.status == "succeeded", run.error
    watched.check_order()


def test_a_run_of_the_watcher_that_died_is_judged_anew(watched: WatchedEnvironment) -> None:
    """Killed before its first step, and held meanwhile: the sweeper finishes nothing that may not begin any more."""
    world, ledger, known = watched.world, watched.world.ledger, len(watched.list_failovers())
    watched.settle()
    wait_for("the cooldown is over", lambda: COOLDOWN_OVER.format(watched.name) in watched.read_metrics(), 120)
    old = watched.primary()
    try:
        with world.faults.order(watched.name, "fence_primary", "begin", "hang"):
            watched.lose_primary()
            wait_for("fence_primary waits", world.faults.is_hanging, 60)
            (run,) = watched.list_failovers()[:-known]
            psutil.Process(run.pid).kill()
        ledger.add_hold(watched.name, "ada", "I look at it", datetime.now(UTC) + timedelta(hours=1))
        wait_for("it is gone", lambda: all(row.is_proved_dead for row in ledger.list_live(watched.name)), 30)
        world.sweep()
        (died,) = watched.list_failovers()[:-known]
        assert (died.status, world.steps(run.run_id)) == ("crashed", [])
        assert "no failover starts by itself while ada holds it: I look at it" in (died.report or {})["resolution"]
        watched.stays_without_run(LONG_SECONDS, "blocked")
    finally:
        ledger.release_hold(watched.name, "ada")
    assert watched.run("failover", reason="a person", accept_loss=True).status == "succeeded"
    assert watched.primary() == other(old)
    watched.check_order()
