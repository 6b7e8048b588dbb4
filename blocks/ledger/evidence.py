"""Reading the chain back: the events, and whether each record is still the one that its event was written for."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, union_all

from blocks.ledger.database import Database
from blocks.ledger.schema import event
from blocks.ledger.tables import CHAINED
from domain.chain import GENESIS, ChainBreak, Event
from domain.evidence import Anchor, Told, Verdict, judge, render_export

BATCH = 2000  # events read at a time: bounds the memory of a check
LOWEST = -(2**63)  # no number is below it: what stands before the first event is read too


class Evidence(Database):
    """The chain of events."""

    def list_events(self, environment: str | None = None, after_seq: int = 0, limit: int = 100) -> list[Event]:
        """Events in their order, after a number; of one environment or of all."""
        query = select(event).where(event.c.seq > after_seq).order_by(event.c.seq).limit(limit)
        if environment is not None:
            query = query.where(event.c.environment == environment)
        with self._read() as connection:
            return [Event.model_validate(dict(row)) for row in connection.execute(query).mappings()]

    def read_head(self) -> tuple[int, str]:
        """Number and hash of the newest event; 0 and the hash that the first one stands on where there is none."""
        with self._read() as connection:
            return _read_head(connection)

    def verify_chain(self, anchors: Mapping[int, str] = MappingProxyType({})) -> ChainBreak | None:
        """The first record that was altered, removed, reordered or added, None where all are whole.

        `anchors`, hashes of events by their number, come from outside: only they show that the newest records were cut
        off together with their events, or that all was written anew.
        """
        return self.judge(Anchor(seq=seq, hash=sha256, location="") for seq, sha256 in anchors.items()).found

    def judge(self, anchors: Iterable[Anchor], **fields: Any) -> Verdict:
        """The verdict over the whole chain as it is at this moment, with what is known from outside."""
        with self._read_once() as connection:
            return judge(_read_told(connection), anchors, _read_newest_record(connection), **fields)

    def export(self, anchors: Iterable[Anchor], at: datetime) -> Iterator[str]:
        """The lines of an export of everything, as it is at this moment."""
        with self._read_once() as connection:
            head, newest = _read_head(connection), _read_newest_record(connection)
            yield from render_export(_read_told(connection), anchors, head, newest, at)

    @contextmanager
    def _read_once(self) -> Iterator[Connection]:
        """One snapshot for all that is read, while runs go on writing."""
        with self._read() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection


def _read_head(connection: Connection) -> tuple[int, str]:
    row = connection.execute(select(event.c.seq, event.c.hash).order_by(event.c.seq.desc()).limit(1)).first()
    return (row.seq, row.hash) if row else (0, GENESIS)


def _read_newest_record(connection: Connection) -> int:
    newest = union_all(*(select(func.max(record.c.seq).label("seq")) for record in CHAINED)).subquery()
    return connection.execute(select(func.max(newest.c.seq))).scalar() or 0


def _read_told(connection: Connection) -> Iterator[Told]:
    before = LOWEST
    while batch := _read_batch(connection, before):
        records = _read_records(connection, before, batch[-1]["seq"])
        # A record between two events is the trace of an event that was removed: the gap tells of that.
        nobodys = tuple(kind for seq, kinds in records.items() if seq < batch[0]["seq"] for kind in kinds)
        for row in batch:
            kinds = records.get(row["seq"], {})
            strays = tuple(kind for kind in kinds if kind != row["kind"])
            event_read = Event.model_validate(dict(row))
            yield Told(event=event_read, record=kinds.get(row["kind"]), strays=strays + nobodys)
            nobodys = ()
        before = batch[-1]["seq"]


def _read_batch(connection: Connection, after_seq: int) -> list[RowMapping]:
    query = select(event).where(event.c.seq > after_seq).order_by(event.c.seq).limit(BATCH)
    return list(connection.execute(query).mappings())


def _read_records(connection: Connection, after: int, last: int) -> dict[int, dict[str, dict[str, Any]]]:
    """Records by number and kind: more than one of a number are not all of its event."""
    found: dict[int, dict[str, dict[str, Any]]] = {}
    for record in CHAINED:
        query = select(record).where(record.c.seq > after, record.c.seq <= last)
        for row in connection.execute(query).mappings():
            found.setdefault(row["seq"], {})[record.name] = dict(row)
    return found
