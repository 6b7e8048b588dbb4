"""Base backups and the WAL that goes with them: which segments one needs, and which may go with those that were let go.

Invariant: a segment from the start of the oldest kept base backup on is never let go, whatever its timeline; and where
no base backup is kept, none is.
"""

import re
from collections.abc import Iterable
from typing import Final

from pydantic import BaseModel, ConfigDict

from domain.backup import BackupVerdict, Question, answer, decide_verdict, not_restored
from domain.errors import PermanentError

PHYSICAL: Final = "physical"
#: PostgreSQL's own size of a segment, which the servers of a pair are made with.
SEGMENT_BYTES = 1 << 24
#: So many segments have one name for their upper half: 4 GiB of WAL.
PER_LOG = (1 << 32) // SEGMENT_BYTES
#: Timeline, upper and lower half of the number; a partial segment and the note of a base backup are at one, too.
SEGMENT = re.compile(r"^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(\.partial|\.[0-9A-F]{8}\.backup)?$")
START = re.compile(r"^START WAL LOCATION: ([0-9A-F]+/[0-9A-F]+) \(file ([0-9A-F]{24})\)$", re.MULTILINE)


class BackupLabel(BaseModel):
    """Where the recovery of a base backup begins: the position, and the segment that has it."""

    model_config = ConfigDict(frozen=True)

    start: str
    segment: str


def read_label(text: str) -> BackupLabel:
    """What PostgreSQL's `backup_label` says. PermanentError where it says no start."""
    found = START.search(text)
    if found is None:
        raise PermanentError(
            "The base backup has no backup_label that says where its WAL starts.",
            "It is no base backup of PostgreSQL: take another one.",
        )
    return BackupLabel(start=found[1], segment=found[2])


def read_timeline(segment: str) -> str:
    """The eight digits of a segment's timeline."""
    return segment[:8]


def read_number(name: str) -> int | None:
    """The number of a segment in the WAL, whatever its timeline; None for what is at no place of it, as a history."""
    found = SEGMENT.match(name)
    return int(found[2], 16) * PER_LOG + int(found[3], 16) if found else None


def list_needed(first: str, last: str) -> list[str]:
    """The names of all segments from one to another of the same timeline, both included."""
    begin, end = read_number(first), read_number(last)
    if begin is None or end is None or read_timeline(first) != read_timeline(last) or begin > end:
        raise ValueError(f"{first} to {last} is no part of one timeline's WAL")
    numbers = range(begin, end + 1)
    return [f"{read_timeline(first)}{number // PER_LOG:08X}{number % PER_LOG:08X}" for number in numbers]


def name_history(segment: str) -> str:
    """The file that says how a segment's timeline began. The first timeline has none."""
    return f"{read_timeline(segment)}.history"


def decide_expired_wal(archived: Iterable[str], starts: Iterable[str]) -> list[str]:
    """What of an archive may go: what is older than the first segment of each kept base backup; histories stay.

    `starts` are the first segments of the base backups that are kept. PostgreSQL's pg_archivecleanup compares the same:
    the number without the timeline, so that the timelines before a failover stay as long as they are needed.
    """
    numbers = [read_number(start) for start in starts]
    if not numbers or None in numbers:
        return []
    oldest = min(number for number in numbers if number is not None)
    return [name for name in archived if (number := read_number(name)) is not None and number < oldest]


def judge_unreadable(fault: str, owed: Iterable[Question]) -> BackupVerdict:
    """The verdict over a base backup that cannot even be unpacked."""
    return decide_verdict({Question.FILE: answer({}, [fault]), **not_restored(owed)}, None)
