"""Evidence is a chain: every event carries the hash of the one before, so no record changes without a trace.

An event's hash is sha256(previous hash + canonical JSON of its body); the first one stands on GENESIS.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

GENESIS = "0" * 64

Fault = Literal["altered", "removed", "reordered", "added"]


def canonical_json(value: Any) -> str:
    """One text for equal values: keys sorted, no spaces, times in UTC with microseconds; ValueError for NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_write_time
    )


def _write_time(value: object) -> str:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    raise TypeError(f"{value!r} has no canonical form: give JSON values and times with a timezone")


def digest(value: Any) -> str:
    """Sha256 of the canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def digest_record(columns: dict[str, Any]) -> str:
    """Digest of a database row. Empty columns do not count, so that a later migration may add one."""
    return digest({name: value for name, value in columns.items() if value is not None})


class Event(BaseModel):
    """Who did what (`kind`) on which environment, why, with which outcome; `seq` counts from 1 without a gap.

    `inputs_sha256` is the digest of the record that the event stands for.
    """

    model_config = ConfigDict(frozen=True)

    seq: int
    at: datetime
    actor: str
    kind: str
    environment: str
    run_id: str
    reason: str
    outcome: str
    inputs_sha256: str
    prev_hash: str
    hash: str

    def compute_hash(self, prev_hash: str) -> str:
        """What the hash has to be for this body after an event with the hash `prev_hash`."""
        body = canonical_json(self.model_dump(exclude={"prev_hash", "hash"}))
        return hashlib.sha256((prev_hash + body).encode()).hexdigest()


class Link(BaseModel):
    """An event and the digest of its record as it is now; None where the record is gone.

    `strays` are the kinds of records that carry the event's number, or one that no event has, without being its record.
    """

    model_config = ConfigDict(frozen=True)

    event: Event
    record_sha256: str | None
    strays: tuple[str, ...] = ()


class ChainBreak(BaseModel):
    """The first record that is not what the chain says: its number, kind (empty if unknown), what was done to it."""

    model_config = ConfigDict(frozen=True)

    seq: int
    kind: str
    fault: Fault
    detail: str


def find_break(links: Iterable[Link], anchors: Mapping[int, str] = MappingProxyType({})) -> ChainBreak | None:
    """The first broken record of a whole chain in its order, or None.

    `anchors` is what is known from elsewhere: the number of an event and its hash, empty if only the number is known.
    Without an anchor, a chain whose newest events were cut off, or that was written anew from its start, looks whole.
    """
    stream = iter(links)
    before: Event | None = None
    for link in stream:
        fault = _find_fault(link, before, stream) or _find_rewritten(link.event, anchors)
        if fault is not None:
            return fault
        before = link.event
    end, last_known = (before.seq if before else 0), max(anchors, default=0)
    if end < last_known:
        return ChainBreak(seq=end + 1, kind="", fault="removed", detail=f"the chain ends before event {last_known}")
    return None


def _find_rewritten(event: Event, anchors: Mapping[int, str]) -> ChainBreak | None:
    if anchors.get(event.seq, "") in ("", event.hash):
        return None
    return _break(event, "altered", "its hash is not the one of its anchor: it was written anew, or one before it")


def _find_fault(link: Link, before: Event | None, rest: Iterator[Link]) -> ChainBreak | None:
    event = link.event
    expected_seq = before.seq + 1 if before else 1
    prev_hash = before.hash if before else GENESIS
    if event.seq != expected_seq:
        return _find_misplaced(event, expected_seq, rest)
    if event.compute_hash(event.prev_hash) != event.hash:
        is_moved = event.prev_hash != prev_hash and event.compute_hash(prev_hash) != event.hash
        return _break(event, "reordered" if is_moved else "altered", "its hash does not fit its content")
    if event.prev_hash != prev_hash:
        return _break(before or event, "altered", f"event {event.seq} was written after an event with another hash")
    if link.record_sha256 is None:
        return _break(event, "removed", "the event stands, its record is gone")
    if link.record_sha256 != event.inputs_sha256:
        return _break(event, "altered", "its record is not the one that the event was written for")
    if link.strays:
        added = ", ".join(link.strays)
        return _break(event, "added", f"a record that no event was written for stands beside it: {added}")
    return None


def _find_misplaced(event: Event, expected_seq: int, rest: Iterator[Link]) -> ChainBreak:
    if event.seq < expected_seq:
        return _break(event, "reordered", f"it stands where event {expected_seq} should")
    moved = next((link.event for link in rest if link.event.seq == expected_seq), None)
    if moved:
        return _break(moved, "reordered", f"event {event.seq} stands in its place")
    return ChainBreak(seq=expected_seq, kind="", fault="removed", detail=f"event {event.seq} stands in its place")


def _break(event: Event, fault: Fault, detail: str) -> ChainBreak:
    return ChainBreak(seq=event.seq, kind=event.kind, fault=fault, detail=detail)
