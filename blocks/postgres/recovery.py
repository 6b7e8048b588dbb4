"""A primary taken out of service and put back: what a drill and its undo need beside the pair's own steps."""

import re

from blocks.kept_servers import kill_server, unfence_server
from blocks.postgres.nodes import SIGNAL, start_node
from blocks.postgres.pair_files import Pair
from blocks.postgres.replication import read_node
from domain.errors import TemporaryError
from domain.pair import Node

STATE = re.compile(r"^Database cluster state:\s+(.+)$", re.MULTILINE)
CHECKPOINT = re.compile(r"^Latest checkpoint location:\s+([0-9A-F]+)/([0-9A-F]+)$", re.MULTILINE)


def restart_primary(pair: Pair, node: Node) -> None:
    """Start the primary again that was killed, frozen or fenced, where the other side was never promoted.

    What is left of it is killed first: a frozen server that woke beside a started one would share its files.
    """
    kill_server(pair.stack, pair.name(node))
    unfence_server(pair.stack, pair.name(node))
    for name in (SIGNAL, "postmaster.pid"):
        (pair.server(node).data / name).unlink(missing_ok=True)
    start_node(pair, node)


def check_shut_down(pair: Pair, node: Node, standby: Node) -> None:
    """TemporaryError unless a server was shut down in order, and the standby has applied its last record."""
    server = pair.server(node)
    told = server.check("pg_controldata", "-D", str(server.data))
    state, position = STATE.search(told), CHECKPOINT.search(told)
    words = state[1] if state else "unknown"
    last = (int(position[1], 16) << 32) + int(position[2], 16) if position else None
    found = read_node(pair, standby).lsn
    if words != "shut down" or last is None or found is None or found < last:
        raise TemporaryError(
            f"{pair.environment}: server {node} is {words!r} at {last}, and the standby has applied {found}.",
            "It was not stopped in order, so something may be on it alone: the drill goes back to it.",
        )
