"""RDS's API on the emulator: snapshots, instances made of them, and that only ours go."""

from collections.abc import Iterator

import pytest

from blocks.aws import AwsAccount
from blocks.rds import (
    create_snapshot,
    delete_instance,
    delete_snapshot,
    list_instances,
    list_snapshots,
    read_instance,
    read_snapshot,
    restore_snapshot,
    wait_until_settled,
)
from domain.backup import VerdictStatus
from domain.backup_snapshot import describe_snapshot, judge_restored
from domain.errors import PermanentError
from domain.rds import AVAILABLE, is_ours
from tests.integration.conftest import REGION
from tests.rds_database import make_database

TAGS = {"environment": "shop", "managed-by": "terrarium", "purpose": "restore-test", "run": "r-1"}


@pytest.fixture
def database(account: AwsAccount) -> Iterator[str]:
    """An encrypted instance, as an environment's Terraform makes it."""
    yield make_database(account, "terrarium-shop")
    account.client("rds").delete_db_instance(DBInstanceIdentifier="terrarium-shop", SkipFinalSnapshot=True)


def test_a_snapshot_is_taken_once_and_let_go(account: AwsAccount, database: str) -> None:
    """The second call reads back what the first one took; gone is gone."""
    tags = TAGS | {"purpose": "backup"}
    taken = create_snapshot(account, REGION, "terrarium-shop-1", database, tags)
    assert (taken.status, taken.is_encrypted, taken.instance_id) == (AVAILABLE, True, database)
    assert is_ours(taken.tags, "shop", "backup")
    assert create_snapshot(account, REGION, "terrarium-shop-1", database, tags) == taken
    assert [one.id for one in list_snapshots(account, REGION, database)] == [taken.id]
    for _ in range(2):
        delete_snapshot(account, REGION, taken.id)
        assert read_snapshot(account, REGION, taken.id) is None


def test_a_snapshot_is_restored_to_a_private_instance_that_goes(account: AwsAccount, database: str) -> None:
    """In the network of the source, found by its tags; an emulated one proves nothing, and what is wrong is told."""
    taken = create_snapshot(account, REGION, "terrarium-shop-2", database, TAGS | {"purpose": "backup"})
    source = read_instance(account, REGION, database)
    assert source is not None
    for _ in range(2):
        restored = restore_snapshot(account, REGION, taken.id, "terrarium-shop-test", source, TAGS)
    assert (restored.status, restored.is_public, restored.is_encrypted) == (AVAILABLE, False, True)
    assert restored.security_groups == source.security_groups
    ours = [one.id for one in list_instances(account, REGION) if is_ours(one.tags, "shop", "restore-test")]
    assert ours == [restored.id]
    manifest = describe_snapshot(taken)
    sound = judge_restored(manifest, taken, restored, 1.0, is_emulated=True)
    assert sound.status == VerdictStatus.INCOMPLETE
    older = manifest.model_copy(update={"server_version": "11.1"})
    assert judge_restored(older, taken, restored, 1.0, is_emulated=True).status == VerdictStatus.FAILED
    for _ in range(2):
        delete_instance(account, REGION, restored.id)
        assert read_instance(account, REGION, restored.id) is None
    assert read_instance(account, REGION, database) is not None


def test_what_is_not_there_is_told(account: AwsAccount) -> None:
    """No snapshot of a database that nobody made, and nothing is waited for that is gone."""
    with pytest.raises(PermanentError, match="taking snapshot terrarium-none-1 failed"):
        create_snapshot(account, REGION, "terrarium-none-1", "terrarium-none", TAGS)
    with pytest.raises(PermanentError, match="was asked for and is not there"):
        wait_until_settled(lambda: read_instance(account, REGION, "terrarium-none"), "instance terrarium-none")
