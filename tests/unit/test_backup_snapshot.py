"""What a run does about RDS snapshots, and what is said of a restored one."""

from datetime import UTC, datetime, timedelta

import pytest

from blocks.environment_files import read_declared
from domain.backup import Question, VerdictStatus
from domain.backup_plan import decide_take, decide_verification
from domain.backup_snapshot import EMULATED, RDS_SNAPSHOT, describe_snapshot, judge_restored
from domain.backup_upkeep import KnownBackup
from domain.rds import BROKEN, Instance, Snapshot, is_ours, is_settled, list_tags, name_snapshot, name_temporary

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
STAGING = read_declared("staging")[1]
SNAPSHOT = Snapshot(
    id="terrarium-staging-1", arn="arn:aws:rds:eu-central-1:1:snapshot:s", instance_id="terrarium-staging",
    status="available", progress_percent=100, is_encrypted=True, engine_version="16.4", storage_gib=20, created_at=NOON,
)  # fmt: skip
RESTORED = Instance(
    id="terrarium-staging-restore-test-1", arn="arn:aws:rds:eu-central-1:1:db:r", status="available",
    engine_version="16.4", instance_class="db.m7g.large", is_encrypted=True, is_public=False,
)  # fmt: skip
MANIFEST = describe_snapshot(SNAPSHOT)


def test_a_snapshot_is_taken_of_rds() -> None:
    """And those that the retention does not keep go; a database of RDS has the retention of its file, or the usual."""
    known = [
        KnownBackup(id=f"b{days}", kind=RDS_SNAPSHOT, taken_at=NOON - timedelta(days=days)) for days in range(1, 400)
    ]
    plan = decide_take(STAGING, known, NOON)
    assert [step.name for step in plan.steps] == ["take_rds_snapshot", "expire_backups", "publish_backup"]
    assert "b1" not in plan.steps[1].arguments["backup_ids"]


def test_a_snapshot_is_restored_by_aws_and_its_instance_goes() -> None:
    """The undo stands at the restore, and the way that went well deletes it before the verdict is told."""
    plan = decide_verification(STAGING, [KnownBackup(id="b1", kind=RDS_SNAPSHOT, taken_at=NOON)], None)
    names = [step.name for step in plan.steps]
    assert names == ["restore_rds_snapshot", "ask_restored", "delete_restored", "publish_verdict"]
    assert plan.steps[0].undo is not None
    assert plan.steps[0].undo.name == "delete_restored"


@pytest.mark.parametrize("is_emulated", [True, False])
def test_a_sound_snapshot_is_never_passed(is_emulated: bool) -> None:
    """Nobody has looked into it: every question is null with its reason, and an emulator's time is nobody's."""
    found = judge_restored(MANIFEST, SNAPSHOT, RESTORED, 61.0, is_emulated=is_emulated)
    assert found.status == VerdictStatus.INCOMPLETE
    assert {answer.passed for answer in found.questions.values()} == {None}
    assert all(answer.unasked for answer in found.questions.values())
    assert (found.questions[Question.DATA].unasked == EMULATED) is is_emulated
    assert found.restore_seconds == (None if is_emulated else 61.0)
    assert found.recovery_point_at is None


BROKEN_SNAPSHOTS = {
    "not there any more": None,
    "not encrypted": SNAPSHOT.model_copy(update={"is_encrypted": False}),
    "is creating, 40 %": SNAPSHOT.model_copy(update={"status": "creating", "progress_percent": 40}),
    "was taken at": SNAPSHOT.model_copy(update={"created_at": NOON + timedelta(hours=1)}),
    "is of version 15.8": SNAPSHOT.model_copy(update={"engine_version": "15.8"}),
}


@pytest.mark.parametrize("fault", BROKEN_SNAPSHOTS)
@pytest.mark.parametrize("is_emulated", [True, False])
def test_a_broken_snapshot_fails(fault: str, is_emulated: bool) -> None:
    """What AWS tells can fail a backup, wherever it runs; one that is gone leaves nothing to be asked."""
    snapshot = BROKEN_SNAPSHOTS[fault]
    restored = RESTORED if snapshot else None
    found = judge_restored(MANIFEST, snapshot, restored, None, is_emulated=is_emulated)
    assert found.status == VerdictStatus.FAILED
    assert fault in found.questions[Question.FILE].faults[0]
    assert found.questions[Question.DATA].passed is None


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"status": "incompatible-restore"}, "is incompatible-restore"),
        ({"engine_version": "15.8"}, "is of 15.8"),
        ({"is_public": True}, "from the internet"),
        ({"is_encrypted": False}, "not encrypted"),
    ],
)
def test_a_broken_instance_fails(changed: dict[str, object], fault: str) -> None:
    """PostgreSQL did not come up, or not as it was."""
    found = judge_restored(MANIFEST, SNAPSHOT, RESTORED.model_copy(update=changed), 9.0, is_emulated=False)
    assert found.status == VerdictStatus.FAILED
    assert fault in found.questions[Question.ENGINE].faults[0]


def test_only_what_carries_our_tags_is_ours() -> None:
    """Of this environment and this purpose: another's, and what a person made, are not."""
    tags = list_tags(STAGING, "backup", "run-1")
    assert is_ours(tags, "staging", "backup")
    assert not is_ours(tags, "staging", "restore-test")
    assert not is_ours(tags, "production", "backup")
    assert not is_ours({key: value for key, value in tags.items() if key != "managed-by"}, "staging", "backup")


def test_names_are_what_rds_keeps() -> None:
    """Small letters, at most 63, for the longest name of an environment too."""
    assert name_snapshot("staging-20261124T120000Z") == "terrarium-staging-20261124t120000z"
    assert len(name_temporary("e" * 18, "restore-test", "0198c2f4-6d1e-7c55")) <= 63


def test_waiting_ends() -> None:
    """At a state that no waiting changes; any other is on its way."""
    assert all(is_settled(status) for status in ("available", *BROKEN))
    assert not any(is_settled(status) for status in ("creating", "backing-up", "modifying", "deleting"))
