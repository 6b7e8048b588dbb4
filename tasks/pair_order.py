"""A pair put in order, whatever happened: the undo of a drill, and how the old primary joins again."""

from contextlib import suppress
from typing import Any

from prefect import get_run_logger, task

from blocks.kept_servers import unfence_server
from blocks.postgres.nodes import (
    fence_node,
    rebuild_node,
    return_node,
    rewind_node,
)
from blocks.postgres.pair_files import Pair
from blocks.postgres.recovery import restart_primary
from blocks.postgres.relays import lead_gateway
from blocks.postgres.replication import prepare_primary, promote, read_state, wait_for_replay
from blocks.relay import mend_relay
from domain.errors import TemporaryError, TerrariumError
from domain.pair import Node, other
from domain.pair_order import decide_order
from tasks.known_pair import find_pair
from tasks.ledger import ledger
from tasks.retry import REPEATABLE
from tasks.run import Run

#: So long a standby may take to catch up: what was written while it was away goes over the link.
CATCH_UP_SECONDS = 60.0
#: A standby that was left alone finds its primary again within a second; after this it is made to.
RECONNECT_SECONDS = 10.0


@task(**REPEATABLE)
def restore_pair(run: Run, primary: Node, goes_forward: bool) -> dict[str, Any]:
    """Put the pair in order from any state: one writable primary, the name on it, the other side behind it.

    `primary` was it before the run. A failover `goes_forward`, and then the other side may be lost. Twice is once.
    """
    pair = find_pair(run.environment)
    for relay in ("link", "gateway"):
        mend_relay(pair.control(relay))
    was_promoted = any(step.name == "promote_standby" for step in ledger().read_open_steps(run.run_id))
    order = decide_order(read_state(pair), primary, goes_forward=goes_forward or was_promoted)
    standby = other(order.primary)
    if order.rejoins or order.act == "promote":
        fence_node(pair, standby, f"run {run.run_id} leaves {order.primary} as the primary")
    if order.act == "restart":
        restart_primary(pair, order.primary)
    elif order.act == "promote":
        promote(pair, order.primary)
    unfence_server(pair.stack, pair.name(order.primary))
    lead_gateway(pair, order.primary)
    is_whole = (not order.rejoins and _catches_up(pair, order.primary)) or _rejoin(
        pair, standby, is_needed=not goes_forward
    )
    prepare_primary(pair, order.primary, is_synchronous=is_whole and pair.record.spec.is_synchronous)
    get_run_logger().info("%s: %s is the primary again, or now.", run.environment, order.primary)
    return {"primary": order.primary, "has_standby": is_whole}


@task(**REPEATABLE)
def rejoin_standby(run: Run, node: Node, is_needed: bool) -> dict[str, Any]:
    """The failback: the old primary, proved dead, joins again behind the new one, and commits may wait for it again.

    Where that is not needed and cannot be, the new primary goes on alone, and it is told.
    """
    pair = find_pair(run.environment)
    mend_relay(pair.control("link"))
    is_whole = _rejoin(pair, node, is_needed=is_needed)
    prepare_primary(pair, other(node), is_synchronous=is_whole and pair.record.spec.is_synchronous)
    return {"has_standby": is_whole}


def _rejoin(pair: Pair, node: Node, *, is_needed: bool) -> bool:
    try:
        rejoin(pair, node)
    except TerrariumError as error:
        if is_needed:
            raise
        get_run_logger().error("%s has no standby: %s could not join again. %s", pair.environment, node, error)
        return False
    return True


def rejoin(pair: Pair, node: Node) -> bool:
    """Fence a server, bring its data to its primary's, and start it as the standby; whether it had to be made anew."""
    fence_node(pair, node, "it joins its pair again")
    is_rebuilt = not rewind_node(pair, node)
    if is_rebuilt:
        rebuild_node(pair, node)
    return_node(pair, node)
    wait_for_replay(pair, other(node), CATCH_UP_SECONDS)
    return is_rebuilt


def _catches_up(pair: Pair, primary: Node) -> bool:
    with suppress(TemporaryError):
        wait_for_replay(pair, primary, RECONNECT_SECONDS)
        return True
    return False
