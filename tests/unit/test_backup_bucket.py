"""Listings of buckets as backups: taken beside the database's, held against the replica."""

from datetime import UTC, datetime, timedelta

import pytest

from blocks.environment_files import read_declared
from domain.backup import Question, VerdictStatus
from domain.backup_bucket import (
    BUCKET,
    LISTED_OBJECTS,
    NOT_REPLICATED,
    ObjectVersion,
    ReplicaState,
    describe_listing,
    judge_bucket,
    read_listing,
    write_listing,
)
from domain.backup_plan import decide_take, decide_verification
from domain.backup_snapshot import RDS_SNAPSHOT
from domain.backup_upkeep import KnownBackup

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
PRODUCTION, STAGING = (read_declared(name)[1] for name in ("production", "staging"))
OBJECTS = [ObjectVersion(key=f"a b/{number}\n.jpg", version=f"v{number}", size_bytes=number) for number in range(30)]
SHA256 = "ab" * 32
MANIFEST = describe_listing(OBJECTS, SHA256, NOON)
SOUND = ReplicaState(
    is_versioned=True, is_replica_versioned=True, has_rule=True, found=frozenset(OBJECTS), sampled=20
)  # fmt: skip


def judge(state: ReplicaState, *, is_emulated: bool = False, sha256: str = SHA256) -> tuple[VerdictStatus, list[str]]:
    """The status, and every fault."""
    found = judge_bucket(MANIFEST, sha256, 100, OBJECTS, state, is_emulated=is_emulated)
    return found.status, [fault for answer in found.questions.values() for fault in answer.faults]


def test_a_listing_is_read_as_it_was_written() -> None:
    """A key may hold anything but is on one line."""
    assert read_listing(write_listing(OBJECTS)) == OBJECTS
    assert read_listing("") == []


def test_media_with_a_replica_are_listed_beside_the_database() -> None:
    """Of another environment only the database is taken; neither is let go in place of the other."""
    known = [
        KnownBackup(id=kind, kind=kind, taken_at=NOON - timedelta(hours=hours))
        for hours, kind in ((1, RDS_SNAPSHOT), (2, BUCKET))
    ]
    steps = decide_take(PRODUCTION, known, NOON).steps
    assert [step.name for step in steps] == [
        *("take_rds_snapshot", "list_media", "expire_backups", "publish_backup", "publish_backup")
    ]
    assert steps[2].arguments["backup_ids"] == [RDS_SNAPSHOT, BUCKET]
    assert "list_media" not in [step.name for step in decide_take(STAGING, [], NOON).steps]


def test_the_database_is_verified_where_nothing_is_named() -> None:
    """The listing where it is named, or where there is nothing else."""
    listing = KnownBackup(id="b1-media", kind=BUCKET, taken_at=NOON)
    snapshot = KnownBackup(id="b1", kind=RDS_SNAPSHOT, taken_at=NOON)
    first = [decide_verification(PRODUCTION, [listing, snapshot], one).steps[0].name for one in (None, "b1-media")]
    assert first == ["restore_rds_snapshot", "ask_replica"]
    assert decide_verification(PRODUCTION, [listing], None).steps[0].name == "ask_replica"


def test_a_sound_replica_passes_up_to_its_listing() -> None:
    """Everything that was listed is there: that is the recovery point. Of an emulator nobody knows."""
    found = judge_bucket(MANIFEST, SHA256, 100, OBJECTS, SOUND, is_emulated=False)
    assert (found.status, found.recovery_point_at) == (VerdictStatus.PASSED, NOON)
    emulated = judge_bucket(MANIFEST, SHA256, 100, OBJECTS, SOUND, is_emulated=True)
    assert (emulated.status, emulated.recovery_point_at) == (VerdictStatus.INCOMPLETE, None)
    assert emulated.questions[Question.DATA].unasked == NOT_REPLICATED


BROKEN = {
    "a b/7\n.jpg, version v7, 7 bytes, is not in the replica": {"found": SOUND.found - {OBJECTS[7]}},
    "x.jpg cannot be read from the replica": {"unreadable": ("x.jpg",)},
    "the bucket keeps no versions": {"is_versioned": False},
    "the replica keeps no versions": {"is_replica_versioned": False},
    "no rule copies the bucket to the recovery region": {"has_rule": False},
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_replica_fails_by_name(fault: str) -> None:
    """One object that is missing or cannot be read, or a setting of either bucket."""
    assert judge(SOUND.model_copy(update=BROKEN[fault])) == (VerdictStatus.FAILED, [fault])


def test_a_damaged_listing_fails() -> None:
    """By its sha256, as any backup's file."""
    status, faults = judge(SOUND, sha256="cd" * 32)
    assert status == VerdictStatus.FAILED
    assert "sha256 is" in faults[0]


def test_what_is_beyond_the_limit_is_not_counted_as_there() -> None:
    """A bucket with more objects than are looked for is never proved."""
    many = [ObjectVersion(key=str(number), version="v", size_bytes=1) for number in range(LISTED_OBJECTS)]
    state = SOUND.model_copy(update={"found": frozenset(many)})
    assert judge_bucket(MANIFEST, SHA256, 1, many, state, is_emulated=False).status == VerdictStatus.INCOMPLETE
