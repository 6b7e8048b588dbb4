"""The link between the servers of a database pair: cut, mended, late, and waited for by a synchronous primary."""

import threading
import time

import pytest

from blocks.postgres.pair_files import Pair
from blocks.postgres.relays import cut_link, delay_link, mend_link
from blocks.postgres.replication import prepare_primary, read_primary, read_state, wait_for_replay
from domain.errors import TemporaryError
from domain.pair import other
from tests.pair_world import PairWorld, read_notes, write
from tests.polling import wait_for

pytestmark = pytest.mark.xdist_group("pair")


@pytest.fixture(scope="module")
def pair(pair_world: PairWorld) -> Pair:
    """One pair for the tests of this file, with something in it; each leaves it whole."""
    pair = pair_world.create("trial")
    write(pair, "first")
    return pair


def test_the_link_is_cut_and_mended(pair: Pair) -> None:
    """While it is cut the standby hears nothing and clients still write; mended, it catches up."""
    primary = read_primary(pair)
    wait_for_replay(pair, primary, 30)
    cut_link(pair)
    try:
        write(pair, "while cut")
        assert "while cut" not in read_notes(pair, other(primary))
        with pytest.raises(TemporaryError, match="has not applied"):
            wait_for_replay(pair, primary, 0.5)
        assert not read_state(pair).is_whole
    finally:
        mend_link(pair)
    wait_for_replay(pair, primary, 30)
    assert "while cut" in read_notes(pair, other(primary))


def test_the_link_is_late_by_its_delay(pair: Pair) -> None:
    """Half a second each way: the standby applies a row no sooner than that."""
    primary = read_primary(pair)
    write(pair, "prompt")
    wait_for_replay(pair, primary, 30)
    delay_link(pair, 500)
    try:
        began = time.monotonic()
        write(pair, "late")
        wait_for("it is there", lambda: "late" in read_notes(pair, other(primary)), poll_seconds=0.01)
        assert time.monotonic() - began > 0.5
    finally:
        delay_link(pair, 0)


def test_a_synchronous_primary_waits_for_its_standby(pair: Pair) -> None:
    """A commit is answered only when the standby has applied it: with the link cut, not at all."""
    primary = read_primary(pair)
    prepare_primary(pair, primary, is_synchronous=True)
    written = threading.Event()

    def commit() -> None:
        write(pair, "held back")
        written.set()

    try:
        write(pair, "agreed")
        assert "agreed" in read_notes(pair, other(primary))
        cut_link(pair)
        thread = threading.Thread(target=commit)
        thread.start()
        assert not written.wait(1)
        mend_link(pair)
        assert written.wait(30)
        thread.join()
    finally:
        mend_link(pair)
        prepare_primary(pair, primary)
