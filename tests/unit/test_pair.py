"""What is decided about a database pair: from what its servers say, and from what its spec wants."""

from typing import Any

import pytest

from blocks.environment_files import read_declared
from domain.errors import PermanentError, RefusedError
from domain.pair import NodeState, PairPorts, PairRecord, PairSpec, PairState, find_primary, other
from domain.pair_plan import ADDRESS, ObservedPair, decide_pair, read_wanted, refuse_pair
from domain.spec import EnvironmentSpec

DEV = read_declared("dev")[1]
STAGING = read_declared("staging")[1]
PRIMARY = NodeState(node="a", is_running=True, is_primary=True, timeline=1, lsn=100)
STANDBY = NodeState(node="b", is_running=True, is_primary=False, timeline=1, lsn=100, is_streaming=True)
WHOLE = PairState(nodes=(PRIMARY, STANDBY), gateway_to="a")
WANTED = read_wanted(DEV)
assert WANTED is not None
READY = PairRecord(
    environment="dev", host="127.0.0.1", ports=PairPorts.from_first(5440), spec=WANTED, run_id="run-1", is_ready=True
)
SETTLED = ObservedPair(record=READY, state=WHOLE)


def names(spec: EnvironmentSpec, observed: ObservedPair) -> list[str]:
    """The steps."""
    return [step.name for step in decide_pair(spec, observed)]


def observed(**state: Any) -> ObservedPair:
    """A ready pair whose state differs."""
    return SETTLED.model_copy(update={"state": WHOLE.model_copy(update=state)})


def test_the_primary_is_who_says_so() -> None:
    """Whatever it is called and wherever the gateway leads; none or two are errors that name them."""
    swapped = PairState(
        nodes=(STANDBY.model_copy(update={"node": "a"}), PRIMARY.model_copy(update={"node": "b"})), gateway_to="a"
    )
    assert (find_primary("dev", WHOLE), find_primary("dev", swapped)) == ("a", "b")
    with pytest.raises(PermanentError, match="dev: no server of its database pair is a primary"):
        find_primary("dev", PairState(nodes=(STANDBY.model_copy(update={"node": "a"}), STANDBY)))
    both = PairState(nodes=(PRIMARY, PRIMARY.model_copy(update={"node": "b"})))
    with pytest.raises(PermanentError, match=r"dev: both servers .* take writes \(a, b\)"):
        find_primary("dev", both)
    assert not both.is_whole


@pytest.mark.parametrize(
    "standby",
    [{"is_running": False, "is_primary": None}, {"is_streaming": False}, {"timeline": 2}, {"is_primary": True}],
)
def test_a_pair_is_whole_only_with_a_standby_that_follows(standby: dict[str, Any]) -> None:
    """`streaming` alone is not enough: it has to be of the primary's timeline."""
    assert WHOLE.is_whole
    assert not WHOLE.model_copy(update={"nodes": (PRIMARY, STANDBY.model_copy(update=standby))}).is_whole


def test_a_pair_with_a_cut_link_or_another_way_in_is_not_whole() -> None:
    """Clients have to reach the primary, and the standby too."""
    assert not WHOLE.model_copy(update={"is_cut": True}).is_whole
    assert not WHOLE.model_copy(update={"gateway_to": "b"}).is_whole


def test_a_new_pair_is_made_filled_and_verified() -> None:
    """It counts as ready only after it was verified; its creation is undone until then."""
    steps = list(decide_pair(DEV, ObservedPair()))
    assert [step.name for step in steps] == ["create_pair", "fill_pair", "verify_pair"]
    assert steps[0].undo is not None
    assert steps[0].undo.name == "delete_unready_pair"
    assert PairSpec.model_validate(steps[0].arguments["wanted"]) == WANTED
    assert steps[1].arguments == {"rows": 1000000}


def test_a_pair_as_it_should_be_needs_nothing() -> None:
    """Applied again, also with another number of example rows: its data is its own by then."""
    assert names(DEV, SETTLED) == []
    fewer = READY.model_copy(update={"spec": READY.spec.model_copy(update={"example_rows": 10})})
    assert names(DEV, SETTLED.model_copy(update={"record": fewer})) == []


@pytest.mark.parametrize(
    "state",
    [
        {"is_cut": True},
        {"delay_ms": 50},
        {"gateway_to": None},
        {"nodes": (PRIMARY, NodeState(node="b"))},
        {"nodes": (NodeState(node="a"), NodeState(node="b"))},
        {"nodes": (PRIMARY.model_copy(update={"synchronous_standbys": "b"}), STANDBY)},
    ],
)
def test_what_differs_is_brought_back(state: dict[str, Any]) -> None:
    """And its data is not filled again."""
    assert names(DEV, observed(**state)) == ["create_pair", "verify_pair"]


def test_an_account_that_was_bootstrapped_again_is_told_to_the_uploader() -> None:
    """Its key is another one."""
    assert names(DEV, SETTLED.model_copy(update={"is_current": False})) == ["create_pair", "verify_pair"]


def test_a_run_that_died_before_the_pair_was_ready_is_continued() -> None:
    """Whatever was half made is made whole, and filled where it is empty."""
    begun = READY.model_copy(update={"is_ready": False})
    assert names(DEV, SETTLED.model_copy(update={"record": begun})) == ["create_pair", "fill_pair", "verify_pair"]


def test_a_fenced_server_waits_for_its_failback() -> None:
    """An apply does not touch it: what only it has may still be counted."""
    fenced = NodeState(node="b", is_fenced=True)
    assert names(DEV, observed(nodes=(PRIMARY, fenced))) == []
    no_primary = observed(nodes=(NodeState(node="a"), fenced))
    assert names(DEV, no_primary) == ["create_pair", "verify_pair"]


def test_a_pair_is_refused_where_nobody_could_keep_it() -> None:
    """On a real account, with the way; a pair that is there already is not refused again."""
    hindered = ObservedPair(hindrance="account production is a real one")
    with pytest.raises(
        RefusedError, match=r"dev: its database pair .* account production is a real one.*provider: rds"
    ):
        refuse_pair(DEV, hindered, frozenset())
    refuse_pair(STAGING, hindered, frozenset())
    refuse_pair(DEV, SETTLED, frozenset())


def test_a_pair_with_data_goes_only_when_it_is_named() -> None:
    """As every other holder of data; one that never was ready held none."""
    with pytest.raises(RefusedError, match=r"whose data would be lost.*--replace pair"):
        refuse_pair(STAGING, SETTLED, frozenset({"aws_db_instance.this"}))
    refuse_pair(STAGING, SETTLED, frozenset({ADDRESS}))
    refuse_pair(
        STAGING, SETTLED.model_copy(update={"record": READY.model_copy(update={"is_ready": False})}), frozenset()
    )
    assert names(STAGING, SETTLED) == ["delete_pair"]
    assert names(STAGING, ObservedPair()) == []


def test_the_servers_of_a_pair_stand_for_the_two_regions() -> None:
    """The first one is of the environment's own region, the other of its recovery region."""
    assert (READY.region_of("a"), READY.region_of("b")) == ("eu-central-1", "eu-west-1")
    assert (other("a"), other("b")) == ("b", "a")


def test_ports_are_five_in_a_row() -> None:
    """The gateway has the first."""
    ports = PairPorts.from_first(6000)
    assert (ports.gateway, ports.of("a"), ports.of("b"), ports.link_to("a"), ports.link_to("b")) == (
        *range(6000, 6005),
    )
