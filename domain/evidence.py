"""Evidence outside the ledger: anchors in a vault, the file of an export, and the verdict over both.

An anchor's name in the vault tells all of it, number and hash: to list a vault is to read its anchors.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from domain.chain import GENESIS, ChainBreak, Event, Link, canonical_json, digest_record, find_break
from domain.errors import PermanentError

FORMAT = "terrarium-evidence-1"
ANCHOR = "anchor"
BACKUP = "backup"
#: Records about the vault itself: they alone are no reason for another anchor.
OF_THE_VAULT = frozenset({"vault_object", "vault_loss"})
_ANCHOR_KEY = re.compile(r"anchors/(\d{12})-([0-9a-f]{64})\.json$")


class Anchor(BaseModel):
    """What the chain ended with once: the number and hash of an event, and where that is written down."""

    model_config = ConfigDict(frozen=True)

    seq: int
    hash: str
    location: str


class Told(BaseModel):
    """An event with its record as it is now, None where that is gone; `strays` as in a link of the chain."""

    model_config = ConfigDict(frozen=True)

    event: Event
    record: dict[str, Any] | None
    strays: tuple[str, ...] = ()

    def link(self) -> Link:
        """What the check of the chain needs of it."""
        sha256 = None if self.record is None else digest_record(self.record)
        return Link(event=self.event, record_sha256=sha256, strays=self.strays)


class Verdict(BaseModel):
    """What a check found. `unchecked` says why anchors were not asked for; `missing` are anchors that were removed."""

    model_config = ConfigDict(frozen=True)

    events: int
    head_hash: str
    anchors: int
    found: ChainBreak | None = None
    missing: tuple[str, ...] = ()
    unchecked: str = ""

    @property
    def is_whole(self) -> bool:
        """Nothing was altered, removed, reordered or added, as far as it could be asked."""
        return self.found is None and not self.missing


def is_anchor_due(newest_told: int, anchored: Iterable[int]) -> bool:
    """Whether something was recorded since the newest anchor; `newest_told` leaves out records about the vault."""
    return newest_told > max(anchored, default=0)


def name_folder(ledger: str) -> str:
    """Where a vault keeps what is of one ledger."""
    return f"evidence/{ledger}/"


def name_anchor(ledger: str, seq: int, head_hash: str) -> str:
    """The key of an anchor in a vault."""
    return f"{name_folder(ledger)}anchors/{seq:012d}-{head_hash}.json"


def read_anchor(location: str) -> Anchor | None:
    """The anchor that a key or an address names; None where it is of something else."""
    found = _ANCHOR_KEY.search(location)
    return Anchor(seq=int(found[1]), hash=found[2], location=location) if found else None


def render_anchor(seq: int, head_hash: str, at: datetime) -> str:
    """The content of an anchor, for a person who opens it."""
    return canonical_json({"format": FORMAT, "seq": seq, "hash": head_hash, "anchored_at": at}) + "\n"


def judge(told: Iterable[Told], anchors: Iterable[Anchor], newest_record: int = 0, **fields: Any) -> Verdict:
    """The verdict over a whole chain; two anchors of one number that differ are a break at that number."""
    known: dict[int, str] = {newest_record: ""} if newest_record else {}
    anchors = list(anchors)
    contradiction: ChainBreak | None = None
    for anchor in anchors:
        if known.get(anchor.seq) not in (None, "", anchor.hash):
            detail = f"two anchors say different things of it, one is {anchor.location}"
            contradiction = contradiction or ChainBreak(seq=anchor.seq, kind="", fault="altered", detail=detail)
        known[anchor.seq] = anchor.hash
    seen = _Seen()
    found = find_break(seen.follow(told), known) or contradiction
    return Verdict(events=seen.events, head_hash=seen.head_hash, anchors=len(anchors), found=found, **fields)


class _Seen:
    """How far a check came."""

    def __init__(self) -> None:
        self.events, self.head_hash = 0, GENESIS

    def follow(self, told: Iterable[Told]) -> Iterator[Link]:
        for one in told:
            self.events, self.head_hash = self.events + 1, one.event.hash
            yield one.link()


def find_missing(recorded: Iterable[str], found: Iterable[str]) -> tuple[str, ...]:
    """Addresses of objects that the ledger knows and the vault has not."""
    return tuple(sorted(set(recorded) - set(found)))


def render_export(
    told: Iterable[Told], anchors: Iterable[Anchor], head: tuple[int, str], newest_record: int, at: datetime
) -> Iterator[str]:
    """The lines of an export: what it ends with, the anchors, then each event with its record."""
    seq, head_hash = head
    yield _line({"format": FORMAT, "at": at, "seq": seq, "hash": head_hash, "newest_record": newest_record})
    for anchor in anchors:
        yield _line({"anchor": anchor.model_dump()})
    for one in told:
        yield _line(one.model_dump())


def judge_export(lines: Iterable[str], anchors: Iterable[Anchor] = ()) -> Verdict:
    """The verdict over an export, with anchors that are known from elsewhere. PermanentError for another file."""
    stream = _parse(lines)
    header = next(stream, {})
    if header.get("format") != FORMAT:
        raise PermanentError(
            "The file is no export of evidence of this version.", "`terrarium evidence export FILE` writes one."
        )
    known = [*anchors, Anchor(seq=header["seq"], hash=header["hash"], location="the first line of the export")]
    first: Mapping[str, Any] | None = None
    for row in stream:
        if "anchor" not in row:
            first = row
            break
        known.append(Anchor.model_validate(row["anchor"]))
    told = _read_told(first, stream)
    return judge(told, [one for one in known if one.seq], header["newest_record"])


def _line(value: Any) -> str:
    return canonical_json(value) + "\n"


def _parse(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise _broken(number)
        yield row


def _read_told(first: Mapping[str, Any] | None, rest: Iterable[Mapping[str, Any]]) -> Iterator[Told]:
    if first is not None:
        yield _validate(first)
    yield from map(_validate, rest)


def _validate(row: Mapping[str, Any]) -> Told:
    try:
        return Told.model_validate(row)
    except ValidationError:
        raise PermanentError(
            f"The export holds a row that is no event: {canonical_json(dict(row))[:200]}.",
            "The file was changed or is not whole: export again.",
        ) from None


def _broken(number: int) -> PermanentError:
    return PermanentError(
        f"Line {number} of the export cannot be read.", "The file was changed or is not whole: export again."
    )
