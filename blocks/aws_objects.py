"""Objects of an account's buckets: emptied, and moved to the vault that outlives an environment.

Invariant: `move_to_vault` deletes a current object only after the vault has that very version, whenever it is
interrupted: older versions go first, so a deletion never makes one of them current.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from blocks.aws import AwsAccount
from domain.errors import PermanentError

DELETE_BATCH = 1000  # the most that S3's DeleteObjects takes
#: What one CopyObject takes at a time that nobody has to wait for too long; more is copied in parts.
WHOLE_BYTES = 2**30
#: The version of what was written while a bucket's versioning was off: Terraform takes that away before the bucket.
UNVERSIONED = "null"
#: The tag of a copy that says which version of its source it is of.
COPIED_VERSION = "terrarium-source-version"


def copy_to_vault(account: AwsAccount, bucket: str, prefix: str) -> tuple[int, int]:
    """Copy the current objects of a bucket to the vault below `prefix`; their number and bytes.

    Repeating copies what is not there yet. A bucket that is gone has no objects.
    """
    objects = size_bytes = 0
    for batch in _list_versions(account, bucket):
        for row in batch:
            if row["IsLatest"] and "Size" in row:
                _copy_version(account, bucket, row, prefix)
                objects, size_bytes = objects + 1, size_bytes + row["Size"]
    return objects, size_bytes


def move_to_vault(account: AwsAccount, bucket: str, prefix: str) -> int:
    """Empty a bucket, its current objects into the vault below `prefix`; how many versions there were.

    What is written meanwhile is moved too. PermanentError where something cannot be deleted.
    """
    older = [row for batch in _list_versions(account, bucket) for row in batch if not row["IsLatest"]]
    deleted = sum(_delete(account, bucket, older[n : n + DELETE_BATCH]) for n in range(0, len(older), DELETE_BATCH))
    while batch := next(_list_versions(account, bucket), []):
        # A version that is older by now was copied when it was current: the newer one is in the next listing.
        for row in batch:
            if "Size" in row:
                _copy_version(account, bucket, row, prefix)
        deleted += _delete(account, bucket, batch)
    return deleted


def empty_bucket(account: AwsAccount, bucket: str, region: str | None = None) -> int:
    """Delete all versions and delete markers; how many there were. A bucket that is gone is empty.

    PermanentError where one cannot be deleted, such as under a retention: that is never bypassed.
    """
    return delete_versions(account, bucket, "", region)


def delete_versions(account: AwsAccount, bucket: str, key: str, region: str | None = None) -> int:
    """Delete every version of one key, or of all where it is empty; how many there were.

    It lists anew after each batch: the mark of the next page may be something that was deleted.
    """
    deleted = 0
    while batch := [row for row in next(_list_versions(account, bucket, key, region), []) if key in ("", row["Key"])]:
        deleted += _delete(account, bucket, batch, region)
    return deleted


def measure_vault(account: AwsAccount, prefix: str) -> tuple[int, int]:
    """How many objects the vault holds below a prefix, and their bytes."""
    with account.translated(f"listing {prefix} of {account.vault_bucket}"):
        pages = account.client("s3").get_paginator("list_objects_v2")
        listed = pages.paginate(Bucket=account.vault_bucket, Prefix=prefix)
        sizes = [row["Size"] for page in listed for row in page.get("Contents", ())]
    return len(sizes), sum(sizes)


def _list_versions(
    account: AwsAccount, bucket: str, prefix: str = "", region: str | None = None
) -> Iterator[list[dict[str, Any]]]:
    """Versions and delete markers, at most DELETE_BATCH at a time; what was deleted meanwhile is no trouble."""
    from botocore.exceptions import ClientError

    with account.translated(f"listing bucket {bucket}"):
        pages = account.client("s3", region).get_paginator("list_object_versions")
        try:
            for page in pages.paginate(Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": DELETE_BATCH}):
                if rows := [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
                    yield rows
        except ClientError as error:
            if error.response["Error"].get("Code") != "NoSuchBucket":
                raise


def _copy_version(account: AwsAccount, bucket: str, row: dict[str, Any], prefix: str) -> None:
    """Copy one version, unless the vault's copy is of it already.

    Objects written without versioning all have the version `null`: that names nothing, so they are always copied.
    """
    target = f"{prefix.rstrip('/')}/{row['Key']}"
    version = {} if row["VersionId"] == UNVERSIONED else {"VersionId": row["VersionId"]}
    with account.translated(f"copying {row['Key']} of bucket {bucket} to {account.vault_bucket}"):
        if version and _read_copied_version(account, target) == row["VersionId"]:
            return
        tags = {"Tagging": urlencode({COPIED_VERSION: row["VersionId"]}), "TaggingDirective": "REPLACE"}
        source = {"Bucket": bucket, "Key": row["Key"], **version}
        s3 = account.client("s3")
        if row["Size"] <= WHOLE_BYTES:
            s3.copy_object(CopySource=source, Bucket=account.vault_bucket, Key=target, **tags)
        else:
            s3.copy(source, account.vault_bucket, target, ExtraArgs=tags)


def _read_copied_version(account: AwsAccount, target: str) -> str | None:
    from botocore.exceptions import ClientError

    try:
        tags = account.client("s3").get_object_tagging(Bucket=account.vault_bucket, Key=target)["TagSet"]
    except ClientError as error:
        if error.response["Error"].get("Code") not in ("NoSuchKey", "404"):
            raise
        return None
    return next((tag["Value"] for tag in tags if tag["Key"] == COPIED_VERSION), None)


def _delete(account: AwsAccount, bucket: str, rows: list[dict[str, Any]], region: str | None = None) -> int:
    if not rows:
        return 0
    objects = [{"Key": row["Key"], "VersionId": row["VersionId"]} for row in rows]
    with account.translated(f"emptying bucket {bucket}"):
        answer = account.client("s3", region).delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
    if refused := answer.get("Errors"):
        first = refused[0]
        raise PermanentError(
            f"account {account.name}: {len(refused)} of {len(rows)} objects of bucket {bucket} cannot be deleted, "
            f"first {first['Key']}: {first.get('Code')} {first.get('Message')}.",
            "Check the role's permissions and the bucket's retention, then run it again.",
        )
    return len(rows)
