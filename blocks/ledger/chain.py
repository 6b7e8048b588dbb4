"""Writing the chain: one writer at a time, each record in the transaction of its event.

The lock is taken before anything is read, so what a transaction decides on is what the chain ends with.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import JSON, Connection, Row, Table, func, insert, select, text

from blocks.ledger.schema import event
from blocks.ledger.tables import run
from domain.chain import GENESIS, Event, canonical_json, digest_record
from domain.errors import PermanentError

LOCK = 0x7E77A  # any number that nothing else in the database locks
HEAD = text(
    "SELECT clock_timestamp() AS at, e.seq, e.hash FROM (SELECT 1) one "
    "LEFT JOIN LATERAL (SELECT seq, hash FROM ledger.event ORDER BY seq DESC LIMIT 1) e ON true"
)


class ChainWriter:
    """The end of the chain, locked until the transaction of `connection` ends."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        head = connection.execute(HEAD).one()
        self.at = head.at
        self._seq, self._hash = head.seq or 0, head.hash or GENESIS

    def append(  # the event's fields, each named where it is called
        self,
        record: Table,
        values: Mapping[str, Any],
        *,
        environment: str,
        actor: str,
        run_id: str = "",
        reason: str = "",
        outcome: str = "",
    ) -> int:
        """Write a row and its event; the number that both carry."""
        row = {**_make_plain(record, values), "seq": self._seq + 1, "at": self.at}
        unlinked = Event(
            seq=self._seq + 1,
            at=self.at,
            actor=actor,
            kind=record.name,
            environment=environment,
            run_id=run_id,
            reason=reason,
            outcome=outcome,
            inputs_sha256=digest_record(row),
            prev_hash=self._hash,
            hash="",
        )
        linked = unlinked.model_copy(update={"hash": unlinked.compute_hash(self._hash)})
        self.connection.execute(insert(event), linked.model_dump())
        self.connection.execute(insert(record), row)
        self._seq, self._hash = linked.seq, linked.hash
        return linked.seq

    def fetch(self, statement: Any) -> Row[Any] | None:
        """The first row that `statement` finds."""
        return self.connection.execute(statement).first()

    def read_run(self, run_id: str) -> Row[Any]:
        """The newest attempt of a run; PermanentError where it never began."""
        begun = self.fetch(select(run).where(run.c.id == run_id).order_by(run.c.attempt.desc()).limit(1))
        if begun is None:
            raise PermanentError(f"Run {run_id} is not in the ledger.", "A run is begun before anything else of it.")
        return begun


def _make_plain(record: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as a later reader gets them: JSON has no tuples and only text as keys."""
    return {
        name: json.loads(canonical_json(value)) if isinstance(record.c[name].type, JSON) else value
        for name, value in values.items()
    }
