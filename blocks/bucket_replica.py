"""A bucket and its replica in the recovery region, looked at. Reads only."""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from blocks.aws import AwsAccount
from domain.backup_bucket import ObjectVersion, ReplicaState
from domain.errors import PermanentError

#: So many objects are read as a whole, and none that is larger.
SAMPLED_OBJECTS, SAMPLED_BYTES = 20, 16 * 2**20
MISSING = ("NoSuchBucket", "ReplicationConfigurationNotFoundError", "NoSuchKey", "404")


def list_current(account: AwsAccount, bucket: str, region: str, limit: int) -> list[ObjectVersion]:
    """The current objects of a bucket, at most so many, by their keys. PermanentError where there is no such bucket."""
    from botocore.exceptions import ClientError

    with account.translated(f"listing bucket {bucket}"):
        try:
            found = _list_versions(account, bucket, region)
            return list(islice((one for one, is_current in found if is_current), limit))
        except ClientError as error:
            if error.response["Error"].get("Code") != "NoSuchBucket":
                raise
    raise PermanentError(
        f"account {account.name}: there is no bucket {bucket}.", "`terrarium env apply NAME` makes it, on `cloud: aws`."
    )


def observe_replica(
    account: AwsAccount, bucket: str, region: str, replica: str, replica_region: str, listed: Collection[ObjectVersion]
) -> ReplicaState:
    """Both buckets' settings, which listed versions the replica has, current or not, and a sample that is read."""
    wanted = set(listed)
    found = _find(account, replica, replica_region, wanted)
    small = (one for one in sorted(found, key=lambda one: (one.version, one.key)) if one.size_bytes <= SAMPLED_BYTES)
    sample = list(islice(small, SAMPLED_OBJECTS))
    return ReplicaState(
        is_versioned=_keeps_versions(account, bucket, region),
        is_replica_versioned=_keeps_versions(account, replica, replica_region),
        has_rule=_has_rule(account, bucket, region, replica),
        found=found,
        sampled=len(sample),
        unreadable=tuple(_find_unreadable(account, replica, replica_region, sample)),
    )


def _find(account: AwsAccount, bucket: str, region: str, wanted: Collection[ObjectVersion]) -> frozenset[ObjectVersion]:
    """Those that the bucket has; none where there is no such bucket."""
    from botocore.exceptions import ClientError

    with account.translated(f"listing bucket {bucket}"):
        try:
            return frozenset(one for one, _ in _list_versions(account, bucket, region) if one in wanted)
        except ClientError as error:
            if error.response["Error"].get("Code") not in MISSING:
                raise
    return frozenset()


def _list_versions(account: AwsAccount, bucket: str, region: str) -> Iterator[tuple[ObjectVersion, bool]]:
    """Every version, and whether it is the current one."""
    for page in account.client("s3", region).get_paginator("list_object_versions").paginate(Bucket=bucket):
        for row in page.get("Versions", ()):
            yield ObjectVersion(key=row["Key"], version=row["VersionId"], size_bytes=row["Size"]), row["IsLatest"]


def _keeps_versions(account: AwsAccount, bucket: str, region: str) -> bool:
    from botocore.exceptions import ClientError

    with account.translated(f"reading whether {bucket} keeps versions"):
        try:
            return bool(account.client("s3", region).get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled")
        except ClientError as error:
            if error.response["Error"].get("Code") not in MISSING:
                raise
    return False


def _has_rule(account: AwsAccount, bucket: str, region: str, replica: str) -> bool:
    """Whether an enabled rule of the whole bucket copies to that replica."""
    from botocore.exceptions import ClientError

    with account.translated(f"reading how {bucket} is replicated"):
        try:
            answer = account.client("s3", region).get_bucket_replication(Bucket=bucket)
        except ClientError as error:
            if error.response["Error"].get("Code") not in MISSING:
                raise
            return False
    rules = answer["ReplicationConfiguration"]["Rules"]
    target = f":::{replica}"
    return any(rule["Status"] == "Enabled" and rule["Destination"]["Bucket"].endswith(target) for rule in rules)


def _find_unreadable(account: AwsAccount, bucket: str, region: str, sample: Iterable[ObjectVersion]) -> Iterator[str]:
    """Those that the replica's key, or its role, does not give out, or that are shorter than listed."""
    from botocore.exceptions import ClientError

    for one in sample:
        with account.translated(f"reading {one.key} of {bucket}"):
            try:
                found = account.client("s3", region).get_object(Bucket=bucket, Key=one.key, VersionId=one.version)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                    raise
                yield one.key
                continue
            if len(found["Body"].read()) != one.size_bytes:
                yield one.key
