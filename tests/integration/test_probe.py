"""The probe and the comparison on real servers: what a client outside sees, and whether two sides hold the same."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from blocks.kept_servers import kill_server
from blocks.postgres.comparison import compare
from blocks.postgres.nodes import fence_node, stop_node
from blocks.postgres.pair_files import Pair
from blocks.postgres.probe import TABLE, Probe
from blocks.postgres.recovery import check_shut_down, restart_primary
from blocks.postgres.replication import read_primary, read_state, wait_for_replay
from blocks.postgres.session import connect
from domain.errors import PermanentError, TemporaryError
from domain.pair import other
from domain.probe_log import count_loss, find_outage
from tests.pair_world import PairWorld
from tests.polling import wait_for

pytestmark = pytest.mark.xdist_group("pair")


@pytest.fixture(scope="module")
def pair(pair_world: PairWorld) -> Pair:
    """One pair for the tests of this file, each of which leaves it whole."""
    return pair_world.create("probed")


@pytest.fixture
def probe(pair: Pair, tmp_path: Path) -> Iterator[Probe]:
    """A probe that writes."""
    variables = {"PATH": os.environ["PATH"], **pair.variables("probe")}
    found = Probe(tmp_path / "log", tmp_path.name, 0.005, variables)
    found.wait_for_rows(20)
    yield found
    found.stop()


def test_what_it_was_told_is_there(pair: Pair, probe: Probe) -> None:
    """Every acknowledged number is a row; stopping it twice is stopping it once."""
    log = probe.stop()
    assert probe.stop() == log
    with connect(pair) as session:
        query = f"SELECT number FROM {TABLE} WHERE run_id = %s"  # noqa: S608 - a constant
        found = {number for (number,) in session.execute(query, (probe.log.parent.name,))}
    loss = count_loss(log, found)
    assert (loss.lost, loss.in_doubt) == ((), ())
    assert len(found) == len(log.acknowledged) >= 20


def test_an_outage_is_seen_and_it_goes_on_by_itself(pair: Pair, probe: Probe) -> None:
    """The primary is killed and started again: a gap, at most a row in doubt, no row lost, and new connections."""
    primary = read_primary(pair)
    kill_server(pair.stack, pair.name(primary))
    count = len(probe.read().acknowledged)
    restart_primary(pair, primary)
    wait_for("it writes again", lambda: len(probe.read().acknowledged) > count + 20)
    log = probe.stop()
    with connect(pair) as session:
        query = f"SELECT number FROM {TABLE} WHERE run_id = %s"  # noqa: S608 - a constant
        loss = count_loss(log, {number for (number,) in session.execute(query, (probe.log.parent.name,))})
    outage = find_outage(log)
    assert outage is not None
    assert outage.seconds > 0.02
    assert loss.lost == ()
    wait_for("the pair is whole", lambda: read_state(pair).is_whole)


def test_it_ends_with_who_started_it(probe: Probe) -> None:
    """The end of its standard input is the end of it, whatever it does at that moment."""
    child = psutil.Process(probe._process.pid)
    assert probe._process.stdin is not None
    probe._process.stdin.close()
    wait_for("it has ended", lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_rows_that_nobody_acknowledges_are_an_error(pair: Pair, probe: Probe) -> None:
    """Who waits for a probe that cannot write is told so, with its log."""
    probe.stop()
    with pytest.raises(PermanentError, match="The probe had no 1000000 rows acknowledged within 0 s"):
        probe.wait_for_rows(1_000_000, timeout_seconds=0.1)


def test_both_sides_are_equal_until_a_row_differs(pair: Pair) -> None:
    """Counts and hashes over all tables; a changed, a missing and a surplus row are counted one by one."""
    primary = read_primary(pair)
    with connect(pair, "app") as session:
        session.execute("CREATE TABLE place (number bigint PRIMARY KEY, name text)")
        session.execute("INSERT INTO place SELECT n, 'place ' || n FROM generate_series(1, 500) n")
    with connect(pair, at=primary) as left, connect(pair, at=other(primary)) as right:
        found = compare(left, right, 30)
        assert found.diverged == 0
        assert found.rows >= 500
    with connect(pair, database="postgres") as session:
        session.execute("CREATE DATABASE other_side TEMPLATE app")
    with connect(pair, at=primary, database="other_side") as right, connect(pair, at=primary) as left:
        right.execute("UPDATE place SET name = 'elsewhere' WHERE number = 7")
        right.execute("DELETE FROM place WHERE number IN (8, 9)")
        right.execute("INSERT INTO place VALUES (501, 'new')")
        assert compare(left, right, 30).diverged == 3  # of the left one 7, 8 and 9; the right one has two of its own
    with connect(pair, database="postgres") as session:
        session.execute("DROP DATABASE other_side")


def test_a_stop_in_order_is_told_from_one_that_was_not(pair: Pair) -> None:
    """After an orderly stop the standby has the last record; a killed server was not shut down."""
    primary = read_primary(pair)
    wait_for_replay(pair, primary, 30)
    stop_node(pair, primary)
    check_shut_down(pair, primary, other(primary))
    restart_primary(pair, primary)
    wait_for("the pair is whole", lambda: read_state(pair).is_whole)
    kill_server(pair.stack, pair.name(primary))
    with pytest.raises(TemporaryError, match="'in production'"):
        check_shut_down(pair, primary, other(primary))
    restart_primary(pair, primary)
    wait_for("the pair is whole", lambda: read_state(pair).is_whole)


def test_a_fenced_primary_that_was_never_replaced_starts_again(pair: Pair) -> None:
    """The way back before a promotion: it has everything that was ever acknowledged."""
    primary = read_primary(pair)
    fence_node(pair, primary, "a test")
    assert read_state(pair).primaries == ()
    restart_primary(pair, primary)
    assert read_primary(pair) == primary
    wait_for("the pair is whole", lambda: read_state(pair).is_whole)
