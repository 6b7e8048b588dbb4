"""Which WAL a base backup needs, and which may go."""

import random

import pytest

from domain.backup import Question, VerdictStatus
from domain.backup_wal import (
    decide_expired_wal,
    judge_unreadable,
    list_needed,
    name_history,
    read_label,
    read_number,
)
from domain.errors import PermanentError

LABEL = """START WAL LOCATION: 0/4000028 (file 000000020000000000000004)
CHECKPOINT LOCATION: 0/4000060
START TIMELINE: 2
"""


def name(number: int, timeline: int = 1) -> str:
    """A segment's name."""
    return f"{timeline:08X}{number // 256:08X}{number % 256:08X}"


def test_a_label_says_where_recovery_begins() -> None:
    """PostgreSQL's own words; without them it is no base backup."""
    label = read_label(LABEL)
    assert (label.start, label.segment) == ("0/4000028", "000000020000000000000004")
    assert name_history(label.segment) == "00000002.history"
    with pytest.raises(PermanentError, match="no backup_label that says"):
        read_label("LABEL: something")


def test_all_segments_between_are_needed() -> None:
    """Both ends, over the end of a name's lower half; never over a timeline, and never backwards."""
    assert list_needed(name(254), name(257)) == [name(n) for n in (254, 255, 256, 257)]
    assert list_needed(name(255), name(256)) == ["0000000100000000000000FF", "000000010000000100000000"]
    assert list_needed(name(7), name(7)) == [name(7)]
    for first, last in ((name(3), name(4, 2)), (name(4), name(3)), ("00000001.history", name(3))):
        with pytest.raises(ValueError, match="no part of one timeline"):
            list_needed(first, last)


def test_wal_goes_that_is_older_than_every_kept_base_backup() -> None:
    """Whatever its timeline; notes and partial segments with it; histories stay."""
    archived = [name(1), name(2), f"{name(2)}.00000028.backup", f"{name(2)}.partial", name(3), name(2, 2), name(3, 2)]
    gone = decide_expired_wal([*archived, "00000002.history"], [name(5), name(3)])
    assert gone == [name(1), name(2), f"{name(2)}.00000028.backup", f"{name(2)}.partial", name(2, 2)]
    assert decide_expired_wal(archived, []) == []
    assert decide_expired_wal(archived, [name(5), "nonsense"]) == []


def test_nothing_that_a_kept_base_backup_needs_ever_goes() -> None:
    """A thousand archives and sets of kept backups, of several timelines."""
    chance = random.Random(7)  # noqa: S311 - the same thousand each time
    for _ in range(1000):
        archived = [name(chance.randrange(600), chance.randrange(1, 4)) for _ in range(50)]
        kept = [(first, first + chance.randrange(20)) for first in chance.sample(range(600), chance.randrange(1, 5))]
        gone = set(decide_expired_wal(archived, [name(first, chance.randrange(1, 4)) for first, _ in kept]))
        needed = {name(number, t) for first, last in kept for number in range(first, last + 1) for t in (1, 2, 3)}
        assert gone.isdisjoint(needed)
        oldest = min(first for first, _ in kept)
        assert gone == {one for one in archived if (read_number(one) or 0) < oldest}


def test_what_cannot_be_unpacked_has_failed() -> None:
    """By its file; the rest was owed and could not be asked."""
    verdict = judge_unreadable("it is cut off", [Question.DATA])
    assert verdict.status == VerdictStatus.FAILED
    assert verdict.questions[Question.FILE].faults == ("it is cut off",)
    assert verdict.questions[Question.DATA].unasked == "nothing was restored"
