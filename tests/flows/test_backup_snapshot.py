"""Snapshots of an RDS database, taken and restored through the real flows; the emulator's database holds no data."""

from collections.abc import Iterator
from typing import Any

import pytest

from blocks.aws_objects import empty_bucket
from blocks.ledger import RunRow
from blocks.ledger.backups import VerdictRow
from blocks.rds import create_snapshot, delete_instance, list_instances, list_snapshots, read_snapshot
from domain.backup_bucket import BUCKET, NOT_REPLICATED, name_media
from domain.backup_snapshot import EMULATED, RDS_SNAPSHOT
from domain.rds import is_ours, name_instance, name_snapshot
from tests.flow_steps import every_step_can_fail
from tests.flow_world import World
from tests.flows.test_pair import PLACE
from tests.integration.conftest import REGION
from tests.integration.test_bucket_replica import make_bucket
from tests.polling import wait_for
from tests.rds_database import make_database

BACKUPS = {"keep_days": 1, "keep_weeks": 0, "keep_months": 0}
SPEC: dict[str, Any] = PLACE | {"data": {"database": {"version": "16", "backups": BACKUPS}}}
TAKEN = ("take_rds_snapshot", "publish_backup")
VERIFIED = ("restore_rds_snapshot", "ask_restored", "delete_restored", "publish_verdict")


@pytest.fixture(scope="module")
def ready(world: World) -> Iterator[str]:
    """An environment that is ready, and an instance of its name: `terraform_data` keeps records and makes none."""
    name = "t-snapshots"
    world.make(name, **SPEC)
    make_database(world.account, name_instance(name))
    yield name
    delete_instance(world.account, REGION, name_instance(name))
    assert world.run("teardown", name).status == "succeeded"


def temporary(world: World, name: str) -> list[str]:
    """What verifying runs have left in the account."""
    return [one.id for one in list_instances(world.account, REGION) if is_ours(one.tags, name, "restore-test")]


def verdict_of(world: World, run: RunRow) -> VerdictRow:
    """What a run found."""
    return next(row for row in world.ledger.list_verdicts(run.environment) if row.run_id == run.run_id)


def test_an_emulated_snapshot_is_incomplete(world: World, ready: str) -> None:
    """It is on record under the run that took it; restored and asked, it is never passed, and its instance is gone."""
    run = world.run("backup", ready)
    assert (run.status, run.error) == ("succeeded", "")
    backup = world.ledger.list_backups(ready)[0]
    assert (backup.kind, backup.run_id, backup.lost_at) == (RDS_SNAPSHOT, run.run_id, None)
    taken = read_snapshot(world.account, REGION, name_snapshot(backup.id))
    assert taken is not None
    assert (taken.arn, taken.tags["run"], taken.created_at) == (backup.location, run.run_id, backup.taken_at)
    checked = world.run("verify", ready)
    assert (checked.status, checked.environment_status) == ("failed", None)
    assert f"its backup is incomplete: {EMULATED}" in checked.error
    assert [step.name for step in world.steps(checked.run_id)] == list(VERIFIED)
    found = verdict_of(world, checked)
    assert (found.status, found.restore_seconds, found.recovery_point_at) == ("incomplete", None, None)
    assert {answer["passed"] for answer in found.questions.values()} == {None}
    assert temporary(world, ready) == []
    assert "incomplete" in world.read_artifact(f"verdict-{ready}")


def test_only_our_old_snapshots_go(world: World, ready: str) -> None:
    """Of a day the newest stays; a person's stays, and one that a dead run took is on record from the next run on."""
    database = name_instance(ready)
    tags = {"environment": ready, "managed-by": "terrarium", "purpose": "backup", "run": "dead", "backup": f"{ready}-1"}
    create_snapshot(world.account, REGION, "a-persons-own", database, {})
    create_snapshot(world.account, REGION, name_snapshot(f"{ready}-1"), database, tags)
    for _ in range(2):
        assert world.run("backup", ready).status == "succeeded"
    rows = world.ledger.list_backups(ready)
    kept = [name_snapshot(row.id) for row in rows if row.lost_at is None]
    assert len(kept) == 1
    assert f"{ready}-1" in [row.id for row in rows if row.lost_at]
    there = {one.id for one in list_snapshots(world.account, REGION, database)}
    assert there == {"a-persons-own", *kept}


def test_a_snapshot_that_is_gone_fails(world: World, ready: str) -> None:
    """Somebody deleted it: the verdict is failed, by its name, and nothing is restored."""
    assert world.run("backup", ready).status == "succeeded"
    name = name_snapshot(world.ledger.list_backups(ready)[0].id)
    world.account.client("rds").delete_db_snapshot(DBSnapshotIdentifier=name)
    run = world.run("verify", ready)
    assert verdict_of(world, run).status == "failed"
    assert "the snapshot is not there any more" in run.error


@pytest.mark.parametrize(("word", "names"), [("backup", TAKEN), ("verify", VERIFIED)])
def test_every_step_can_fail(world: World, ready: str, word: str, names: tuple[str, ...]) -> None:
    """The environment is as before, and no instance is left that costs money."""
    assert world.run("backup", ready).status == "succeeded"
    every_step_can_fail(world, word, ready, None, names)
    assert temporary(world, ready) == []


def test_a_killed_run_leaves_no_instance(world: World, ready: str) -> None:
    """SIGKILL while its instance is there: the sweeper finds it by its tags and deletes it."""
    assert world.run("backup", ready).status == "succeeded"
    with world.faults.order(ready, "restore_rds_snapshot", "end", "hang"):
        world.process.tell("run", "verify", {"environment": ready}, None)
        wait_for("the instance is there", world.faults.is_hanging, 120)
        run_id = world.ledger.list_runs(ready)[0].run_id
        assert temporary(world, ready)
        world.process.kill()
    world.sweep()
    run = world.ledger.read_run(run_id)
    assert run is not None
    assert run.status == "crashed"
    assert temporary(world, ready) == []
    assert world.status(ready) == "ready"


def test_media_are_listed_and_their_replica_is_looked_at(world: World, name: str) -> None:
    """The listing is in the vault; the emulator does not replicate, so the verdict says that, and is never passed."""
    world.make(name, **PLACE, data={"media": {"has_replica": True}})
    assert "there is no bucket" in world.run("backup", name).error
    s3 = world.account.client("s3")
    bucket, replica = (name_media(name, world.account.account_id, region) for region in (REGION, "eu-west-1"))
    make_bucket(world.account, bucket, REGION)
    make_bucket(world.account, replica, "eu-west-1")
    s3.put_object(Bucket=bucket, Key="a.jpg", Body=b"1")
    run = world.run("backup", name)
    assert (run.status, run.error) == ("succeeded", "")
    (listing,) = world.ledger.list_backups(name)
    assert (listing.kind, listing.size_bytes, listing.manifest["tables"]) == (BUCKET, 1, {"objects": {"rows": 1}})
    checked = world.run("verify", name)
    found = verdict_of(world, checked)
    assert (checked.status, found.status) == ("failed", "failed")
    assert found.questions["engine"]["faults"] == ["no rule copies the bucket to the recovery region"]
    assert found.questions["data"]["unasked"] == NOT_REPLICATED
    assert found.questions["file"]["passed"]
    assert world.is_clean(checked.run_id)
    for bucket_name, region in ((bucket, REGION), (replica, "eu-west-1")):
        empty_bucket(world.account, bucket_name, region)
        world.account.client("s3", region).delete_bucket(Bucket=bucket_name)
    world.run("teardown", name)


def test_an_account_without_the_instance_is_refused(world: World, name: str) -> None:
    """A rehearsal keeps records: there is nothing that a snapshot could be taken of."""
    world.make(name, **SPEC)
    run = world.run("backup", name)
    assert run.status == "refused"
    assert f"has no RDS instance terrarium-{name}" in run.error
    world.run("teardown", name)
