"""A bucket and its replica on the emulator, which keeps rules and versions, and copies nothing."""

import pytest

from blocks.aws import AwsAccount
from blocks.bucket_replica import list_current, observe_replica
from domain.errors import PermanentError
from tests.integration.conftest import REGION

RECOVERY_REGION = "eu-west-1"


def make_bucket(account: AwsAccount, name: str, region: str) -> str:
    """A bucket that keeps versions; its name."""
    s3 = account.client("s3", region)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def bucket(account: AwsAccount) -> str:
    """Three keys: one written twice, one deleted again, and one with a blank."""
    name = make_bucket(account, f"media-{account.account_id}", REGION)
    s3 = account.client("s3")
    for key, body in (("a", b"1"), ("a", b"22"), ("b", b"3"), ("c d", b"444")):
        s3.put_object(Bucket=name, Key=key, Body=body)
    s3.delete_object(Bucket=name, Key="b")
    return name


def test_the_current_objects_are_listed(account: AwsAccount, bucket: str) -> None:
    """Not what was overwritten or deleted; at most so many; a bucket that is not there is told."""
    found = list_current(account, bucket, REGION, 10)
    assert [(one.key, one.size_bytes) for one in found] == [("a", 2), ("c d", 3)]
    assert list_current(account, bucket, REGION, 1) == found[:1]
    with pytest.raises(PermanentError, match="there is no bucket nowhere"):
        list_current(account, "nowhere", REGION, 10)


def test_a_replica_has_exactly_the_listed_versions(account: AwsAccount, bucket: str) -> None:
    """A copy by hand is another version; the versions themselves are there even when they are no longer current."""
    listed = list_current(account, bucket, REGION, 10)
    replica = make_bucket(account, f"replica-{account.account_id}", RECOVERY_REGION)
    account.client("s3", RECOVERY_REGION).put_object(Bucket=replica, Key="a", Body=b"22")
    state = observe_replica(account, bucket, REGION, replica, RECOVERY_REGION, listed)
    assert (state.is_versioned, state.is_replica_versioned, state.has_rule) == (True, True, False)
    assert (state.found, state.sampled) == (frozenset(), 0)
    account.client("s3").put_object(Bucket=bucket, Key="a", Body=b"55555")
    itself = observe_replica(account, bucket, REGION, bucket, REGION, listed)
    assert (itself.found, itself.sampled, itself.unreadable) == (frozenset(listed), 2, ())


def test_a_rule_is_found(account: AwsAccount, bucket: str) -> None:
    """One that is enabled and leads to that replica; a replica that is not there has nothing, and keeps nothing."""
    replica = make_bucket(account, f"replica-{account.account_id}", RECOVERY_REGION)
    rule = {"ID": "r", "Priority": 1, "Filter": {"Prefix": ""}, "DeleteMarkerReplication": {"Status": "Disabled"}}
    rule |= {"Status": "Enabled", "Destination": {"Bucket": f"arn:aws:s3:::{replica}"}}
    configuration = {"Role": f"arn:aws:iam::{account.account_id}:role/r", "Rules": [rule]}
    account.client("s3").put_bucket_replication(Bucket=bucket, ReplicationConfiguration=configuration)
    assert observe_replica(account, bucket, REGION, replica, RECOVERY_REGION, []).has_rule
    other = observe_replica(
        account, bucket, REGION, "nowhere", RECOVERY_REGION, list_current(account, bucket, REGION, 9)
    )
    assert (other.has_rule, other.is_replica_versioned, other.found) == (False, False, frozenset())
