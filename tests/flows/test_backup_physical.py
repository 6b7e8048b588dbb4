"""Base backups of an environment's pair with their WAL, taken, listed, verified and let go through the real flows."""

from collections.abc import Iterator

import pytest

from blocks.wal_archive import segment_key
from blocks.wal_copy import delete_wal
from domain.backup import Manifest
from domain.backup_wal import read_number
from domain.status import Operation, RunStatus
from tests.backup_world import ROWS, STEPS, BackedUp, make_backed_up
from tests.flow_steps import every_step_can_fail
from tests.flow_world import World

#: `make prove PIPELINE=backup` kills every step at both moments.
KILLED = (
    ("backup", "take_base_backup", "end"),
    ("backup", "expire_backups", "end"),
    ("backup", "expire_wal", "begin"),
    ("verify", "restore_and_ask", "end"),
)


@pytest.fixture(scope="module")
def backed_up(world: World) -> Iterator[BackedUp]:
    """One environment for all tests of this file."""
    with make_backed_up(world, "t-physical") as found:
        yield found


def test_a_base_backup_is_taken_and_proved(world: World, backed_up: BackedUp) -> None:
    """As the file asks; its manifest is of a position of the WAL, and a recovery to that answers every question."""
    run = backed_up.run("backup")
    assert (run.status, run.error, run.environment_status) == ("succeeded", "", None)
    assert [step.name for step in world.steps(run.run_id)] == ["take_base_backup", "expire_wal", "publish_backup"]
    (backup,) = backed_up.list_kept()
    manifest = Manifest.model_validate(backup.manifest)
    assert (backup.kind, manifest.kind, manifest.tables["public.bookings"].rows) == (
        "physical",
        "physical",
        ROWS * 600 // 1000,
    )
    assert manifest.wal_position
    assert manifest.sentinels
    assert manifest.schema_version
    backed_up.check(run)
    checked = backed_up.run("verify")
    assert (checked.status, checked.error) == ("succeeded", "")
    (verdict,) = world.ledger.list_verdicts(backed_up.name)
    assert (verdict.status, verdict.backup_id) == ("passed", backup.id)
    assert {name: answer["passed"] for name, answer in verdict.questions.items()} == dict.fromkeys(
        verdict.questions, True
    )
    assert verdict.recovery_point_at == manifest.recovery_point_at
    backed_up.check(checked)


def test_another_kind_is_taken_where_it_is_asked_for(world: World, backed_up: BackedUp) -> None:
    """A dump, beside the base backup and not in its place; what nobody knows is refused."""
    before = backed_up.list_kept()
    run = backed_up.run("backup", kind="logical")
    assert run.status == "succeeded", run.error
    kept = backed_up.list_kept()
    assert [row.kind for row in kept] == ["logical", *(row.kind for row in before)]
    assert backed_up.run("verify").status == "succeeded"
    assert backed_up.run("backup", kind="tape").status == "refused"
    backed_up.let_go(kept[0].id)


def test_retention_lets_a_base_backup_and_older_wal_go(backed_up: BackedUp) -> None:
    """The newest and the newest proved one stay, with all of their WAL; what is older than both goes."""
    assert backed_up.run("verify", backup=physical(backed_up)[-1]).status == "succeeded"
    for _ in range(2):
        run = backed_up.run("backup")
        assert run.status == "succeeded", run.error
        backed_up.check(run)
    assert len(physical(backed_up)) == 2
    proved = Manifest.model_validate(backed_up.list_kept()[-1].manifest)
    assert backed_up.find_oldest_number() == read_number(str(proved.wal_from))
    assert backed_up.run("verify").status == "succeeded"
    run = backed_up.run("backup")
    assert run.status == "succeeded", run.error
    backed_up.check(run)
    oldest = Manifest.model_validate(backed_up.list_kept()[-1].manifest)
    assert backed_up.find_oldest_number() == read_number(str(oldest.wal_from)) > read_number(str(proved.wal_from))


def physical(backed_up: BackedUp) -> list[str]:
    """The ids of the base backups that are kept."""
    return [row.id for row in backed_up.list_kept() if row.kind == "physical"]


def test_a_missing_segment_fails(world: World, backed_up: BackedUp) -> None:
    """The engine does not come to the position that was promised, and the file is not what it was."""
    assert backed_up.run("backup").status == "succeeded"
    manifest = Manifest.model_validate(backed_up.list_kept()[0].manifest)
    assert manifest.wal_archive
    delete_wal(world.account, manifest.wal_archive, [str(manifest.wal_to)])
    run = backed_up.run("verify")
    assert run.status == "failed"
    verdict = next(row for row in world.ledger.list_verdicts(backed_up.name) if row.run_id == run.run_id)
    assert verdict.status == "failed"
    assert verdict.questions["engine"]["passed"] is False
    assert "recovery target" in str(verdict.questions["engine"]["faults"])
    assert world.is_clean(run.run_id)
    backed_up.let_go(backed_up.list_kept()[0].id)


def test_wal_that_cannot_be_read_back_is_none(backed_up: BackedUp) -> None:
    """The archive has every segment by its name, and one is no WAL: the backup is taken anew, and that one is whole."""
    run = backed_up.damage_amid_take()
    assert run.status == "succeeded", run.error
    backed_up.check(run)
    assert backed_up.run("verify").status == "succeeded"


def test_wal_that_goes_before_the_record_is_noticed(backed_up: BackedUp) -> None:
    """Such a backup is let go at once, and the run fails; the next one is whole."""
    before = backed_up.list_kept()
    run = backed_up.lose_amid_take()
    assert run.status == "failed"
    assert "while a base backup was taken" in str(run.error)
    assert backed_up.list_kept() == before
    backed_up.check(run)
    assert backed_up.run("backup").status == "succeeded"


def test_wal_stays_while_another_backup_is_taken(world: World, backed_up: BackedUp) -> None:
    """What the other one needs is on no record yet; the run after it lets the rest go."""
    assert backed_up.run("backup").status == "succeeded"
    old, other = f"{1:08X}{0:016X}", f"other-{backed_up.name}"
    key = segment_key(backed_up.pair.record.archive_prefix, old)
    world.account.client("s3").put_object(Bucket=world.account.vault_bucket, Key=key, Body=b"")
    world.ledger.enter_run(other, backed_up.name)
    version = world.read(backed_up.name).spec_version
    world.ledger.begin_run(other, backed_up.name, Operation.BACKUP, "backup", version, None, "tests", "host", 1)
    try:
        run = backed_up.run("backup")
        assert run.status == "succeeded", run.error
        assert old in backed_up.list_wal()
        (told,) = [step.detail for step in world.steps(run.run_id) if step.name == "expire_wal"]
        assert told == {"expired_wal": 0, "waits_for": [other]}
    finally:
        world.ledger.finish_run(other, RunStatus.FAILED)
    assert backed_up.run("backup").status == "succeeded"
    assert old not in backed_up.list_wal()


@pytest.mark.parametrize("word", list(STEPS))
def test_every_step_can_fail(world: World, backed_up: BackedUp, word: str) -> None:
    """The environment is as before, nothing of the run is left, and the next run goes its way."""
    for _ in range(2):
        assert backed_up.run("backup").status == "succeeded"
    every_step_can_fail(world, word, backed_up.name, None, STEPS[word])
    run = backed_up.run(word)
    assert run.status == "succeeded", run.error
    backed_up.check(run)


@pytest.mark.parametrize(("word", "step", "moment"), KILLED)
def test_a_killed_run_leaves_nothing(backed_up: BackedUp, word: str, step: str, moment: str) -> None:
    """SIGKILL, then the sweeper: every backup on record is whole, and the next run converges."""
    assert backed_up.run("backup").status == "succeeded"
    run = backed_up.kill_at(word, step, moment)
    assert run.status == "crashed", run.error
    backed_up.check(run)
    again = backed_up.run(word)
    assert again.status == "succeeded", again.error
    backed_up.check(again)


def test_a_run_that_is_killed_amid_its_upload_leaves_nothing(backed_up: BackedUp) -> None:
    """Barman ends with its run, and what it had kept by then is removed."""
    run = backed_up.kill_amid_upload()
    assert run.status == "crashed", run.error
    backed_up.check(run)
    again = backed_up.run("backup")
    assert again.status == "succeeded", again.error
    backed_up.check(again)
