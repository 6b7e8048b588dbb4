"""Whatever a run left of a pair when it died, there is one way to exactly one writable primary."""

from itertools import product

import pytest

from domain.pair import Node, NodeState, PairState, other
from domain.pair_order import decide_order

PRIMARY = {"is_running": True, "is_primary": True, "timeline": 1, "lsn": 100}
STANDBY = {"is_running": True, "is_primary": False, "timeline": 1, "lsn": 100, "is_streaming": True}


def state(a: dict[str, object], b: dict[str, object]) -> PairState:
    """A pair of two servers."""
    nodes = (NodeState.model_validate({"node": "a", **a}), NodeState.model_validate({"node": "b", **b}))
    return PairState(nodes=nodes, gateway_to="a")


def test_a_pair_in_order_is_left_alone() -> None:
    """The undo of a drill that had touched nothing yet."""
    order = decide_order(state(PRIMARY, STANDBY), "a", goes_forward=False)
    assert (order.primary, order.act, order.rejoins) == ("a", "stays", False)


@pytest.mark.parametrize("gone", [{}, {"is_fenced": True}])
def test_before_the_promotion_the_way_leads_back(gone: dict[str, object]) -> None:
    """Killed, frozen or fenced: the old primary has everything, so it starts again."""
    order = decide_order(state(gone, STANDBY), "a", goes_forward=False)
    assert (order.primary, order.act, order.rejoins) == ("a", "restart", False)


def test_once_the_promotion_was_begun_the_way_leads_forward() -> None:
    """The standby may become the primary by itself at any moment: the old one is never started beside it."""
    order = decide_order(state({"is_fenced": True}, STANDBY), "a", goes_forward=True)
    assert (order.primary, order.act, order.rejoins) == ("b", "promote", True)


def test_a_new_primary_stays_and_the_old_one_joins_it() -> None:
    """After the promotion, whatever the ledger has of it."""
    promoted = PRIMARY | {"timeline": 2}
    for goes_forward in (False, True):
        order = decide_order(state({"is_fenced": True}, promoted), "a", goes_forward=goes_forward)
        assert (order.primary, order.act, order.rejoins) == ("b", "stays", True)


def test_of_two_primaries_the_newer_timeline_wins() -> None:
    """The older one was to be fenced: what it wrote since is on it alone."""
    order = decide_order(state(PRIMARY, PRIMARY | {"timeline": 2}), "a", goes_forward=True)
    assert (order.primary, order.act, order.rejoins) == ("b", "stays", True)


def test_a_standby_of_another_timeline_or_a_fenced_one_joins_again() -> None:
    """It would wait for ever for WAL that there is not."""
    for broken in (STANDBY | {"timeline": 2}, STANDBY | {"is_fenced": True}, {}):
        assert decide_order(state(PRIMARY, broken), "a", goes_forward=False).rejoins


SIDES = ({}, {"is_fenced": True}, PRIMARY, PRIMARY | {"timeline": 2}, STANDBY, STANDBY | {"timeline": 2})


@pytest.mark.parametrize("before", ["a", "b"])
def test_no_state_leaves_two_primaries(before: Node) -> None:
    """In every state: who else takes writes is fenced, and nobody is promoted beside a living primary."""
    for a, b, goes_forward in product(SIDES, SIDES, (False, True)):
        found = state(a, b)
        order = decide_order(found, before, goes_forward=goes_forward)
        if found.of(other(order.primary)).is_primary:
            assert order.rejoins
        if order.act != "stays":
            assert not found.primaries
        if order.act == "restart":
            assert not goes_forward
