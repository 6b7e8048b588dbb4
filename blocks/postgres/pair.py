"""A database pair, made and removed. Each step looks first: made again, it is brought to what it should be.

Invariant: data is never made where either server has some, and never removed but by `delete_pair`.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from blocks.kept_servers import forget_server, is_fenced, list_kept
from blocks.ports import is_free
from blocks.postgres.account import write_owned
from blocks.postgres.config import write_archive_script
from blocks.postgres.nodes import create_primary, create_standby, keep_node, rebuild_node, start_node, stop_node
from blocks.postgres.pair_files import (
    Pair,
    create_files,
    list_records,
    pair_folder,
    read_record,
    remove_files,
    write_record,
)
from blocks.postgres.relays import delay_link, keep_relays, lead_gateway, mend_link
from blocks.postgres.replication import (
    has_lost_slot,
    prepare_primary,
    read_node,
    read_primary,
    read_system_identifier,
    wait_for_replay,
)
from blocks.postgres.roles import create_roles
from blocks.process_folders import kill_workers
from blocks.supervisor import Stack
from domain.errors import PermanentError
from domain.pair import NODES, PORTS, Node, PairPorts, PairRecord, PairSpec, other

#: The most pairs whose ports are looked for, from the first port on.
MOST_PAIRS = 100
REPLAY_SECONDS = 120.0


def create_pair(
    stack: Stack, environment: str, spec: PairSpec, run_id: str, programs: Path, first_port: int, now: datetime
) -> Pair:
    """Bring a pair to what its spec says: running, replicating, the gateway at its primary. Made where there is none.

    A fenced server stays as it is: it comes back by a failback.
    """
    with lock_ports(stack):
        known = read_record(stack, environment)
        if known is None:
            ports = choose_ports(stack, first_port)
            known = PairRecord(environment=environment, host=stack.host, ports=ports, spec=spec, run_id=run_id)
        pair = create_files(stack, known.model_copy(update={"spec": spec}), programs, now)
    if not pair.record.is_ready:
        write_owned(pair.not_yet, "", pair.account)
    write_owned(pair.folder / "archive.sh", write_archive_script(pair), pair.account)
    keep_relays(pair)
    mend_link(pair)
    delay_link(pair, spec.link_delay_ms)
    primary = _bring_up(pair)
    pair = write_record(
        pair, pair.record.model_copy(update={"system_identifier": read_system_identifier(pair, primary)})
    )
    lead_gateway(pair, primary)
    return pair


def delete_pair(stack: Stack, environment: str) -> bool:
    """Stop the servers of a pair, take them from the supervisor and remove all of it; whether there was one."""
    for server in reversed([one for one in list_kept(stack) if one.owner == environment]):
        forget_server(stack, server.name)
    folder = pair_folder(stack, environment)
    if not folder.exists():
        return False
    for node in NODES:
        for path in (folder / node, folder / node / "new"):
            kill_workers(path, f"a copy of {environment}-{node}")
    remove_files(folder)
    return True


def mark_ready(pair: Pair, archive_prefix: str) -> Pair:
    """From here on the pair holds data, no undo removes it, and its WAL is archived."""
    pair = write_record(pair, pair.record.model_copy(update={"is_ready": True, "archive_prefix": archive_prefix}))
    pair.not_yet.unlink(missing_ok=True)
    return pair


def mark_filled(pair: Pair, rows: int) -> Pair:
    """How many example rows it was given."""
    return write_record(pair, pair.record.model_copy(update={"filled_rows": rows}))


@contextmanager
def lock_ports(stack: Stack) -> Iterator[None]:
    """Two runs that make a pair each choose their ports one after the other."""
    with (stack.state_dir / "pair-ports.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def choose_ports(stack: Stack, first: int) -> PairPorts:
    """Five ports in a row that no other pair has and nothing listens on. PermanentError where there are none."""
    taken = {record.ports.gateway for record in list_records(stack)}
    for start in range(first, min(first + PORTS * MOST_PAIRS, 65536 - PORTS), PORTS):
        has_room = all(is_free(stack.host, port) for port in range(start, start + PORTS))
        if has_room and not any(abs(start - other_first) < PORTS for other_first in taken):
            return PairPorts.from_first(start)
    raise PermanentError(
        f"There are no {PORTS} free ports in a row from {first} on for a database pair.",
        "End what listens there, or choose another start: TERRARIUM_PAIR_PORT.",
    )


def _bring_up(pair: Pair) -> Node:
    """Both servers running and replicating; the primary."""
    if not any(pair.server(node).data.exists() for node in NODES):
        create_primary(pair, "a")
    for node in NODES:
        keep_node(pair, node)
        if pair.server(node).data.exists() and not is_fenced(pair.stack, pair.name(node)):
            start_node(pair, node)
    primary = _wait_for_primary(pair)
    if not pair.record.is_ready:
        create_roles(pair, primary)
    standby = other(primary)
    if is_fenced(pair.stack, pair.name(standby)):
        return primary
    if has_lost_slot(pair, primary):
        rebuild_standby(pair, standby)
    create_standby(pair, standby)
    start_node(pair, standby)
    prepare_primary(pair, primary)
    wait_for_replay(pair, primary, REPLAY_SECONDS)
    prepare_primary(pair, primary, is_synchronous=pair.record.spec.is_synchronous)
    return primary


def rebuild_standby(pair: Pair, node: Node) -> None:
    """Make a standby anew that the primary has no more WAL for: all that it has is the primary's."""
    stop_node(pair, node)
    rebuild_node(pair, node)


def _wait_for_primary(pair: Pair) -> Node:
    """A server that was started accepts sessions a moment before it has ended its recovery."""
    deadline = time.monotonic() + REPLAY_SECONDS
    while not any(read_node(pair, node).is_primary for node in NODES) and time.monotonic() < deadline:
        time.sleep(0.05)
    return read_primary(pair)
