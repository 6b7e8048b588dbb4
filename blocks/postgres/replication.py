"""What one asks of the servers of a pair, and the steps of a change of roles, each repeatable."""

import time
from contextlib import suppress

from blocks.kept_servers import is_fenced
from blocks.postgres.config import slot_name
from blocks.postgres.pair_files import Pair
from blocks.postgres.session import Session, connect
from blocks.relay import RelayState, read_relay
from domain.errors import PermanentError, TemporaryError
from domain.pair import NODES, Node, NodeState, PairState, find_primary, other

#: Timeline of a primary: of the WAL that it writes; of a standby: of what it receives, else of what it has replayed.
STATE = """
SELECT NOT pg_is_in_recovery(),
  CASE WHEN pg_is_in_recovery()
    THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver), (SELECT timeline_id FROM pg_control_checkpoint()))
    ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn,
  EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'),
  CASE WHEN NOT pg_is_in_recovery() THEN NULL
    WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
    ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END,
  current_setting('synchronous_standby_names')
"""
PROMOTE_SECONDS = 60
PROMOTE_POLL_SECONDS = 0.002
POLL_SECONDS = 0.05


def read_state(pair: Pair) -> PairState:
    """Both servers, the gateway and the link, as each answers now; what does not answer is told as such."""
    gateway, link = _read_relay(pair, "gateway"), _read_relay(pair, "link")
    target = gateway.routes["gateway"].target if gateway else None
    leads = {pair.record.ports.of(node): node for node in NODES}
    return PairState(
        nodes=(read_node(pair, "a"), read_node(pair, "b")),
        gateway_to=leads.get(target) if target else None,
        is_cut=link.is_cut if link else True,
        delay_ms=link.delay_ms if link else 0,
    )


def read_node(pair: Pair, node: Node) -> NodeState:
    """One server as it answers now."""
    fenced = is_fenced(pair.stack, pair.name(node))
    try:
        with connect(pair, at=node, database="postgres") as session:
            row = session.execute(STATE).fetchone()
    except TemporaryError:
        return NodeState(node=node, is_fenced=fenced)
    assert row is not None
    is_primary, timeline, lsn, is_streaming, lag, names = row
    return NodeState(
        node=node,
        is_running=True,
        is_fenced=fenced,
        is_primary=is_primary,
        timeline=timeline,
        lsn=int(lsn),
        is_streaming=is_streaming,
        lag_seconds=None if lag is None else max(0.0, float(lag)),
        synchronous_standbys=names,
    )


def read_primary(pair: Pair) -> Node:
    """The one server that takes writes. PermanentError where there is none, or more than one."""
    return find_primary(pair.environment, read_state(pair))


def promote(pair: Pair, node: Node) -> None:
    """Make a standby the primary, which takes writes when this returns. Who is it already stays it.

    The other one has to be fenced before: this does not look. PostgreSQL's own wait looks ten times a second, which is
    outage; this one looks more often.
    """
    deadline = time.monotonic() + PROMOTE_SECONDS
    with connect(pair, at=node, database="postgres") as session:
        session.execute("SELECT pg_is_in_recovery() AND pg_promote(false)")
        while session.execute("SELECT pg_is_in_recovery()").fetchone() != (False,):
            if time.monotonic() > deadline:
                raise PermanentError(
                    f"{pair.environment}: server {node} was not promoted within {PROMOTE_SECONDS} s.",
                    f"Its log, {pair.stack.state_dir / 'logs' / pair.name(node)}.log, says what it waits for.",
                )
            time.sleep(PROMOTE_POLL_SECONDS)


def prepare_primary(pair: Pair, node: Node, *, is_synchronous: bool = False) -> None:
    """What a new primary needs for its standby: a slot; commits wait for the standby only where `is_synchronous`."""
    with connect(pair, at=node, database="postgres") as session:
        create_slot(session, other(node))
        names = other(node) if is_synchronous else ""
        session.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        session.execute("SELECT pg_reload_conf()")


def create_slot(session: Session, standby: Node) -> None:
    """A physical slot for a standby, which reserves WAL from now on. One that is there stays."""
    name = slot_name(standby)
    if not session.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", (name,)).fetchone():
        session.execute("SELECT pg_create_physical_replication_slot(%s, true)", (name,))


def has_lost_slot(pair: Pair, primary: Node) -> bool:
    """Whether the primary no longer has the WAL that its standby needs."""
    with connect(pair, at=primary, database="postgres") as session:
        statement = "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND wal_status = 'lost'"
        return session.execute(statement, (slot_name(other(primary)),)).fetchone() is not None


def drop_lost_slot(session: Session, standby: Node) -> None:
    """A slot whose WAL is gone serves nobody: the standby has to be made anew, on a new one."""
    session.execute(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
        "WHERE slot_name = %s AND wal_status = 'lost' AND NOT active",
        (slot_name(standby),),
    )


def checkpoint(pair: Pair, node: Node) -> None:
    """Before pg_rewind, on the new primary: until then its control file has the old timeline, and nothing is done."""
    with connect(pair, at=node, database="postgres") as session:
        session.execute("CHECKPOINT")


def wait_for_replay(pair: Pair, primary: Node, timeout_seconds: float) -> float:
    """Until the standby has applied what the primary has written by now; the seconds it took. TemporaryError if not.

    It is a position of the WAL that is waited for, on the standby itself, and never the word `streaming`.
    """
    began = time.monotonic()
    with connect(pair, at=primary, database="postgres") as session:
        row = session.execute("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn").fetchone()
    assert row is not None
    while True:
        state = read_node(pair, other(primary))
        if state.is_primary is False and state.is_streaming and (state.lsn or 0) >= row[0]:
            return time.monotonic() - began
        if time.monotonic() - began > timeout_seconds:
            raise TemporaryError(
                f"{pair.environment}: the standby {other(primary)} has not applied the primary's WAL within "
                f"{timeout_seconds:.0f} s.",
                f"Its log, {pair.stack.state_dir / 'logs' / pair.name(other(primary))}.log, says what it waits for.",
            )
        time.sleep(POLL_SECONDS)


def read_system_identifier(pair: Pair, node: Node) -> str:
    """The number that both servers and their WAL share."""
    with connect(pair, at=node, database="postgres") as session:
        row = session.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
    assert row is not None
    return str(row[0])


def switch_wal(pair: Pair, primary: Node) -> str:
    """End the segment that is being written, so that it is archived; its name."""
    with connect(pair, at=primary, database="postgres") as session:
        row = session.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
    assert row is not None
    return str(row[0])


def _read_relay(pair: Pair, name: str) -> RelayState | None:
    with suppress(TemporaryError):
        return read_relay(pair.control(name))
    return None
