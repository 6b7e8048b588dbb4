"""RDS's API: snapshots, instances made of them, read replicas. Nothing of an environment's own is changed or deleted.

Invariant: what is asked for twice is there once, and what is gone is gone; every instance made here is private, without
protection, and carries the tags by which it is found again.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from blocks.aws import AwsAccount
from domain.errors import PermanentError
from domain.rds import BROKEN, Instance, Snapshot, is_settled

POLL_SECONDS = 15.0
#: A large snapshot, or an instance made of one, takes an hour or two.
WAIT_SECONDS = 3 * 3600.0


class Placed(Protocol):
    """Something of RDS that has a state."""

    @property
    def status(self) -> str:
        """As RDS calls it."""
        ...


ThingT = TypeVar("ThingT", bound=Placed)


def read_instance(account: AwsAccount, region: str, name: str) -> Instance | None:
    """An instance by its name; None where there is none."""
    found = _read(account, region, "describe_db_instances", "DBInstances", DBInstanceIdentifier=name)
    return _show_instance(found[0]) if found else None


def list_instances(account: AwsAccount, region: str) -> list[Instance]:
    """Every instance of a region."""
    return [_show_instance(row) for row in _read(account, region, "describe_db_instances", "DBInstances")]


def read_snapshot(account: AwsAccount, region: str, name: str) -> Snapshot | None:
    """A snapshot by its name; None where there is none."""
    found = _read(account, region, "describe_db_snapshots", "DBSnapshots", DBSnapshotIdentifier=name)
    return _show_snapshot(found[0]) if found else None


def list_snapshots(account: AwsAccount, region: str, instance: str) -> list[Snapshot]:
    """The manual snapshots of an instance."""
    options = {"DBInstanceIdentifier": instance, "SnapshotType": "manual"}
    return [_show_snapshot(row) for row in _read(account, region, "describe_db_snapshots", "DBSnapshots", **options)]


def create_snapshot(account: AwsAccount, region: str, name: str, instance: str, tags: Mapping[str, str]) -> Snapshot:
    """Take a snapshot, and wait until it is available or has failed. One of that name that is there is the one."""
    options = {"DBSnapshotIdentifier": name, "DBInstanceIdentifier": instance, "Tags": _write_tags(tags)}
    _call(account, region, "create_db_snapshot", f"taking snapshot {name}", "DBSnapshotAlreadyExists", **options)
    return wait_until_settled(lambda: read_snapshot(account, region, name), f"snapshot {name} in {region}")


def delete_snapshot(account: AwsAccount, region: str, name: str) -> None:
    """Let a snapshot go. Gone is gone."""
    options = {"DBSnapshotIdentifier": name}
    _call(account, region, "delete_db_snapshot", f"letting snapshot {name} go", "DBSnapshotNotFound", **options)


def restore_snapshot(
    account: AwsAccount, region: str, snapshot: str, name: str, like: Instance, tags: Mapping[str, str]
) -> Instance:
    """Make a private instance of a snapshot, in the network of another one; wait until it is available or broken."""
    options = {"DBInstanceIdentifier": name, "DBSnapshotIdentifier": snapshot, **_describe_private(like, tags)}
    call = "restore_db_instance_from_db_snapshot"
    _call(account, region, call, f"restoring {snapshot} as {name}", "DBInstanceAlreadyExists", **options)
    return wait_until_settled(lambda: read_instance(account, region, name), f"instance {name} in {region}")


def delete_instance(account: AwsAccount, region: str, name: str) -> None:
    """Have an instance that a run brought for itself deleted, without a last snapshot. Gone, or going, is gone.

    RDS deletes nothing that is still being made: that is waited for.
    """
    found = read_instance(account, region, name)
    if found is None or found.status == "deleting":
        return
    wait_until_settled(lambda: read_instance(account, region, name), f"instance {name} in {region}")
    options = {"DBInstanceIdentifier": name, "SkipFinalSnapshot": True, "DeleteAutomatedBackups": True}
    _call(account, region, "delete_db_instance", f"deleting {name}", "DBInstanceNotFound", **options)


def create_replica(
    account: AwsAccount, region: str, name: str, source: Instance, like: Instance, tags: Mapping[str, str]
) -> Instance:
    """Make a private read replica of an instance of another region, in the network and under the key of `like`."""
    options = {
        "DBInstanceIdentifier": name,
        "SourceDBInstanceIdentifier": source.arn,
        "SourceRegion": source.arn.split(":")[3],  # so that boto3 signs what the other region is asked
        "KmsKeyId": like.kms_key,
        **_describe_private(like, tags),
    }
    call = "create_db_instance_read_replica"
    _call(account, region, call, f"making replica {name} of {source.id}", "DBInstanceAlreadyExists", **options)
    return wait_until_settled(lambda: read_instance(account, region, name), f"instance {name} in {region}")


def promote_replica(account: AwsAccount, region: str, name: str) -> Instance:
    """Make a read replica an instance of its own, for good; it takes writes when this returns. Again: it is one.

    RDS still shows the replica as it was for a moment after the call, so its source is waited for, too.
    """
    found = read_instance(account, region, name)
    if found and found.source:
        _call(account, region, "promote_read_replica", f"promoting {name}", "", DBInstanceIdentifier=name)
    what = f"instance {name} in {region}"
    return _wait(lambda: read_instance(account, region, name), what, lambda one: not one.source)


def wait_until_settled(read: Callable[[], ThingT | None], what: str) -> ThingT:
    """Ask until waiting changes nothing any more. PermanentError where it takes too long, or there is no such thing."""
    return _wait(read, what, lambda _: True)


def _wait(read: Callable[[], ThingT | None], what: str, is_done: Callable[[ThingT], bool]) -> ThingT:
    deadline = time.monotonic() + WAIT_SECONDS
    while (found := read()) is not None and not (
        found.status in BROKEN or (is_settled(found.status) and is_done(found))
    ):
        if time.monotonic() > deadline:
            raise PermanentError(
                f"RDS: {what} is still {found.status} after {WAIT_SECONDS / 3600:g} hours.",
                "See its events in the AWS console, and run it again once it has settled.",
            )
        time.sleep(POLL_SECONDS)
    if found is None:
        raise PermanentError(f"RDS: {what} was asked for and is not there.", "Somebody deleted it: run it again.")
    return found


def _describe_private(like: Instance, tags: Mapping[str, str]) -> dict[str, Any]:
    """The network of `like`, nothing of its protection."""
    return {
        "DBInstanceClass": like.instance_class,
        "DBSubnetGroupName": like.subnet_group,
        "VpcSecurityGroupIds": list(like.security_groups),
        "PubliclyAccessible": False,
        "MultiAZ": False,
        "DeletionProtection": False,
        "CopyTagsToSnapshot": False,
        "Tags": _write_tags(tags),
    }


def _read(account: AwsAccount, region: str, call: str, key: str, **options: Any) -> list[dict[str, Any]]:
    """The rows of all pages; none where what was named is not there."""
    from botocore.exceptions import ClientError

    with account.translated(f"reading {key} of {region}"):
        pages = account.client("rds", region).get_paginator(call)
        try:
            return [row for page in pages.paginate(**options) for row in page[key]]
        except ClientError as error:
            if error.response["Error"].get("Code") not in ("DBInstanceNotFound", "DBSnapshotNotFound"):
                raise
        return []


def _call(account: AwsAccount, region: str, call: str, what: str, is_fine: str, **options: Any) -> None:
    """A call whose one kind of refusal says that it has been done already. Options without a value are left out."""
    from botocore.exceptions import ClientError

    with account.translated(what):
        try:
            getattr(account.client("rds", region), call)(
                **{key: value for key, value in options.items() if value != ""}
            )
        except ClientError as error:
            if error.response["Error"].get("Code") != is_fine:
                raise


def _show_instance(row: Mapping[str, Any]) -> Instance:
    endpoint = row.get("Endpoint") or {}
    return Instance(
        id=row["DBInstanceIdentifier"],
        arn=row["DBInstanceArn"],
        status=row["DBInstanceStatus"],
        engine_version=row["EngineVersion"],
        instance_class=row["DBInstanceClass"],
        is_encrypted=row.get("StorageEncrypted", False),
        is_public=row.get("PubliclyAccessible", False),
        endpoint=endpoint.get("Address", ""),
        subnet_group=(row.get("DBSubnetGroup") or {}).get("DBSubnetGroupName", ""),
        security_groups=tuple(one["VpcSecurityGroupId"] for one in row.get("VpcSecurityGroups", ())),
        kms_key=row.get("KmsKeyId") or "",
        source=row.get("ReadReplicaSourceDBInstanceIdentifier") or "",
        tags=_read_tags(row),
    )


def _show_snapshot(row: Mapping[str, Any]) -> Snapshot:
    return Snapshot(
        id=row["DBSnapshotIdentifier"],
        arn=row["DBSnapshotArn"],
        instance_id=row["DBInstanceIdentifier"],
        status=row["Status"],
        progress_percent=row.get("PercentProgress", 100),  # an emulator leaves it out
        is_encrypted=row.get("Encrypted", False),
        engine_version=row["EngineVersion"],
        storage_gib=row["AllocatedStorage"],
        created_at=row.get("SnapshotCreateTime"),
        tags=_read_tags(row),
    )


def _read_tags(row: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in row.get("TagList", ())}


def _write_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
