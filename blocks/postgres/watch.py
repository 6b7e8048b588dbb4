"""The vantage points of a watcher: what each sees of a pair's primary. Nothing is written and nothing is changed.

A look asks a postmaster for one byte and never hangs; a sample is a session, which a frozen server may keep for ever:
whoever watches takes samples in threads of their own.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from blocks.answering import answers_within, is_answering
from blocks.postgres.pair_files import Pair
from blocks.postgres.probe import read_time
from blocks.postgres.session import connect
from domain.errors import TerrariumError
from domain.look import Look, PrimarySample, StandbySample
from domain.pair import NODES, Node, other

#: A look waits so long for the byte; over the link the delay comes on top, for the handshake and for the question.
LOOK_SECONDS = 0.2
WAYS = 4
#: Of a primary alone: the server behind the name may be a standby, or none.
PRIMARY = """
SELECT current_setting('cluster_name'),
  ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int,
  pg_current_wal_flush_lsn() - '0/0'::pg_lsn, current_setting('synchronous_standby_names') <> ''
WHERE NOT pg_is_in_recovery()
"""
#: Its timeline is only told while it receives: its control file may still have the one from before it joined.
STANDBY = """
SELECT received_tli,
  greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn,
  extract(epoch FROM clock_timestamp() - CASE WHEN status = 'streaming' THEN last_msg_receipt_time END)
FROM (SELECT) AS always LEFT JOIN pg_stat_wal_receiver ON true
WHERE pg_is_in_recovery()
"""


def read_clock() -> datetime:
    """Now, in UTC, by a clock that never goes back."""
    return datetime.fromtimestamp(read_time(), UTC)


def look_seconds(pair: Pair) -> float:
    """How long a look over the link may take."""
    return LOOK_SECONDS + WAYS * pair.record.spec.link_delay_ms / 1000


def look_from_clients(pair: Pair) -> Look:
    """As clients do: through the environment's name."""
    at = read_clock()
    answered = is_answering(pair.record.host, pair.record.ports.gateway, LOOK_SECONDS)
    return Look(vantage="clients", at=at, is_answered=answered)


def look_from_standby(pair: Pair, primary: Node) -> Look:
    """As the standby does: over the link between the two servers."""
    at = read_clock()
    answered = is_answering(pair.record.host, pair.record.ports.link_to(primary), look_seconds(pair))
    return Look(vantage="standby", at=at, is_answered=answered)


def sample_primary(pair: Pair) -> PrimarySample | None:
    """What the primary behind the name says of itself; None where no primary does."""
    at = read_clock()
    row = _ask(pair, None, PRIMARY)
    nodes: dict[str, Node] = {pair.name(node): node for node in NODES}
    if row is None or row[0] not in nodes:
        return None
    return PrimarySample(at=at, node=nodes[row[0]], timeline=row[1], lsn=int(row[2]), is_synchronous=row[3])


def sample_standby(pair: Pair, primary: Node) -> StandbySample | None:
    """What the other server says of itself; None where it does not answer, or is no standby."""
    at = read_clock()
    row = _ask(pair, other(primary), STANDBY)
    if row is None or row[1] is None:
        return None
    heard_at = None if row[2] is None else at - timedelta(seconds=max(0.0, float(row[2])))
    return StandbySample(at=at, timeline=row[0], lsn=int(row[1]), heard_at=heard_at)


def list_answering(pair: Pair, seconds: float) -> tuple[Node, ...]:
    """The servers whose postmaster answers within that time, asked directly, past the gateway and the link."""
    record = pair.record
    return tuple(node for node in NODES if answers_within(record.host, record.ports.of(node), seconds))


def _ask(pair: Pair, at: Node | None, statement: str) -> tuple[Any, ...] | None:
    try:
        with connect(pair, at=at, database="postgres") as session:
            return session.execute(statement).fetchone()
    except TerrariumError:
        return None
