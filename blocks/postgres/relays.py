"""The gateway and the link of a pair: relays that the supervisor keeps."""

import sys
import time

from blocks.kept_servers import KeptServer, keep_server, start_server
from blocks.postgres.account import write_owned
from blocks.postgres.pair_files import Pair
from blocks.relay import RelayState, Route, cut_relay, is_relay_healthy, mend_relay, set_delay, switch_route
from blocks.settings import CHECKOUT
from domain.errors import TemporaryError
from domain.pair import Node

PROGRAM = CHECKOUT / "deployments" / "local" / "link.py"
ORDERS = {"link": 10, "gateway": 11}
START_SECONDS = 30.0
POLL_SECONDS = 0.02


def keep_relays(pair: Pair) -> None:
    """The link and the gateway, running. A gateway that is new leads nowhere."""
    ports = pair.record.ports
    routes = {
        "link": {
            "to_a": Route(listen=ports.link_to_a, target=ports.a),
            "to_b": Route(listen=ports.link_to_b, target=ports.b),
        },
        "gateway": {"gateway": Route(listen=ports.gateway, target=None)},
    }
    for name, led in routes.items():
        _keep_relay(pair, name, RelayState(host=pair.record.host, control=pair.control(name), routes=led))


def lead_gateway(pair: Pair, node: Node | None) -> None:
    """Lead the environment's clients to a server; None: they are turned away."""
    switch_route(pair.control("gateway"), "gateway", None if node is None else pair.record.ports.of(node))


def cut_link(pair: Pair) -> None:
    """Let nothing pass between the two servers; clients still reach each of them."""
    cut_relay(pair.control("link"))


def mend_link(pair: Pair) -> None:
    """Let everything pass between the two servers."""
    mend_relay(pair.control("link"))


def delay_link(pair: Pair, delay_ms: int) -> None:
    """How late the servers hear of each other, in each direction."""
    set_delay(pair.control("link"), delay_ms)


def _keep_relay(pair: Pair, name: str, state: RelayState) -> None:
    """It writes what it is told into its file: one that is there is not written again."""
    folder = pair.folder / name
    folder.mkdir(mode=0o700, exist_ok=True)
    file, control = folder / "state.json", pair.control(name)
    if not file.exists():
        write_owned(file, state.model_dump_json(indent=2) + "\n", None)
    server = KeptServer(
        name=pair.name(name),
        owner=pair.environment,
        order=ORDERS[name],
        # Isolated: nothing beside it, and nothing of an environment, is in the way of its imports.
        command=(sys.executable, "-I", str(PROGRAM), str(file)),
        directory=folder,
        probe="relay",
        control=control,
        port=next(iter(state.routes.values())).listen,
    )
    keep_server(pair.stack, server)
    start_server(pair.stack, server.name)
    deadline = time.monotonic() + START_SECONDS
    while not is_relay_healthy(control):
        if time.monotonic() > deadline:
            log = pair.stack.state_dir / "logs" / f"{server.name}.log"
            raise TemporaryError(f"{pair.environment}: its {name} does not answer.", f"Its log is {log}.")
        time.sleep(POLL_SECONDS)
