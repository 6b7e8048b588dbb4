"""WAL segments out of an account's archive: waited for, fetched beside a base backup, let go."""

import gzip
import time
import zlib
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from blocks.aws import AwsAccount
from blocks.aws_objects import DELETE_BATCH
from blocks.wal_archive import fetch_segment, list_segments, segment_key
from domain.errors import PermanentError, TemporaryError

POLL_SECONDS = 0.2


def list_archived(account: AwsAccount, prefix: str) -> list[str]:
    """What the archive has below a prefix, in the order of the WAL."""
    with account.translated(f"listing {prefix} of {account.vault_bucket}"):
        return list_segments(account.client("s3"), account.vault_bucket, prefix)


def wait_for_segments(account: AwsAccount, prefix: str, names: Collection[str], timeout_seconds: float) -> None:
    """Until the archive has them all. TemporaryError with the first that it does not have."""
    deadline = time.monotonic() + timeout_seconds
    while missing := sorted(set(names) - set(list_archived(account, prefix))):
        if time.monotonic() > deadline:
            raise TemporaryError(
                f"The WAL archive {prefix} has no {missing[0]} after {timeout_seconds:.0f} s; "
                f"{len(missing)} of {len(names)} segments are missing.",
                "See `make status` and the log of the pair's `archive`: without its WAL a base backup is none.",
            )
        time.sleep(POLL_SECONDS)


def fetch_wal(account: AwsAccount, prefix: str, names: Iterable[str], target: Path) -> list[str]:
    """Bring segments into a new folder, by reading alone; the names of those that are not there or not whole.

    What is missing is left to PostgreSQL to find missing.
    """
    target.mkdir(mode=0o700, parents=True)
    archived, missing = set(list_archived(account, prefix)), []
    for name in names:
        content = None
        if name in archived:
            with account.translated(f"fetching WAL {name}"), suppress(EOFError, zlib.error, gzip.BadGzipFile):
                content = fetch_segment(account.client("s3"), account.vault_bucket, prefix, name)
        if content is None:
            missing.append(name)
        else:
            (target / name).write_bytes(content)
    return missing


def fetch_all_wal(account: AwsAccount, prefix: str, names: Collection[str], target: Path) -> None:
    """The same where each of them has to be there. TemporaryError with the first that is not, or is not whole."""
    if missing := fetch_wal(account, prefix, names, target):
        raise TemporaryError(
            f"The WAL archive {prefix} has no whole {missing[0]}; {len(missing)} of {len(names)} segments cannot be "
            "read.",
            "Nothing is recorded without its WAL: the base backup is taken anew, with later segments.",
        )


def delete_wal(account: AwsAccount, prefix: str, names: Collection[str]) -> None:
    """Let segments go; what the bucket's retention still holds stays as an old version. Gone is gone."""
    keys = [{"Key": segment_key(prefix, name)} for name in sorted(names)]
    for start in range(0, len(keys), DELETE_BATCH):
        batch = {"Objects": keys[start : start + DELETE_BATCH], "Quiet": True}
        with account.translated(f"letting WAL of {prefix} go"):
            answer = account.client("s3").delete_objects(Bucket=account.vault_bucket, Delete=batch)
        if refused := answer.get("Errors"):
            raise PermanentError(
                f"account {account.name}: {len(refused)} segments of the WAL archive {prefix} cannot be deleted, "
                f"first {refused[0]['Key']}: {refused[0].get('Code')}.",
                "Check the role's permissions on the vault bucket, and take another backup: it is tried again.",
            )
