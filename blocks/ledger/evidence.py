"""Reading the chain back: the events, and whether each record is still the one that its event was written for."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, union_all

from blocks.ledger.database import Database
from blocks.ledger.schema import event
from blocks.ledger.tables import CHAINED
from domain.chain import ChainBreak, Event, Link, digest_record, find_break

BATCH = 2000  # events read at a time: bounds the memory of a check


class Evidence(Database):
    """The chain of events."""

    def list_events(self, environment: str | None = None, after_seq: int = 0, limit: int = 100) -> list[Event]:
        """Events in their order, after a number; of one environment or of all."""
        query = select(event).where(event.c.seq > after_seq).order_by(event.c.seq).limit(limit)
        if environment is not None:
            query = query.where(event.c.environment == environment)
        with self._read() as connection:
            return [Event.model_validate(dict(row)) for row in connection.execute(query).mappings()]

    def verify_chain(self, anchors: Mapping[int, str] = MappingProxyType({})) -> ChainBreak | None:
        """The first record that was altered, removed or reordered, None where all are whole.

        `anchors`, hashes of events by their number, come from outside: only they show that the newest records were cut
        off together with their events, or that all was written anew.
        """
        with self._read() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ")
            return find_break(_read_links(connection), {_read_newest_record(connection): "", **anchors})


def _read_newest_record(connection: Connection) -> int:
    newest = union_all(*(select(func.max(record.c.seq).label("seq")) for record in CHAINED)).subquery()
    return connection.execute(select(func.max(newest.c.seq))).scalar() or 0


def _read_links(connection: Connection) -> Iterator[Link]:
    after: Any = -1
    while batch := _read_batch(connection, after):
        found = _digest_records(connection, batch[0]["seq"], batch[-1]["seq"])
        for row in batch:
            yield Link(event=Event.model_validate(dict(row)), record_sha256=found.get((row["kind"], row["seq"])))
        after = batch[-1]["seq"]


def _read_batch(connection: Connection, after_seq: int) -> list[RowMapping]:
    query = select(event).where(event.c.seq > after_seq).order_by(event.c.seq).limit(BATCH)
    return list(connection.execute(query).mappings())


def _digest_records(connection: Connection, first: int, last: int) -> dict[tuple[str, int], str]:
    return {
        (record.name, row["seq"]): digest_record(dict(row))
        for record in CHAINED
        for row in connection.execute(select(record).where(record.c.seq.between(first, last))).mappings()
    }
