"""Base backups by barman, a program of its own, into the vault of an account; fetched and unpacked by ourselves."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blocks.aws import AwsAccount
from blocks.backup_vault import list_keys
from blocks.base_archive import UnreadableBaseError, unpack
from blocks.child import OutOfTimeError, run_child
from blocks.postgres.pair_files import Pair
from domain.errors import PermanentError, TemporaryError
from domain.pair import Node

#: What barman calls the server: the folder of a backup holds one alone.
SERVER = "pair"
ARCHIVE_SUFFIX = ".tar.lz4"
#: Where the keys last that long; those of a role last for an hour.
TIMEOUT_SECONDS = 6 * 3600.0
#: Before the end of the keys: the last request has to be over by then.
MARGIN_SECONDS = 30.0
GRACE_SECONDS = 20.0


def take_base(account: AwsAccount, pair: Pair, node: Node, folder: str, work: Path) -> None:
    """Copy a server's data into a folder of the vault while it runs, compressed and encrypted.

    Barman starts and ends the backup in the server as the role `backup`, and reads the files beside us. `work` is a
    folder of the run, in which its processes are found. TemporaryError where it was interrupted by the server or S3;
    PermanentError where it takes longer than its keys are good for, or than TIMEOUT_SECONDS.
    """
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys, seconds = _read_credentials(account)
    try:
        ended = run_child(
            [sys.executable, "-I", "-m", "barman.clients.cloud_backup", *_list_options(account, folder)],
            folder=work,
            environment={**keys, **pair.variables("backup", node, "postgres")},
            on_line=lambda _line: None,  # what it has to say goes to stderr
            timeout_seconds=seconds,
            grace_seconds=GRACE_SECONDS,
        )
    except OutOfTimeError as error:
        raise PermanentError(
            f"{pair.environment}: the base backup was not done after {seconds:.0f} seconds.",
            "A role's keys end within the hour, and barman cannot renew them. Give the machine a faster way to the "
            "vault, or take dumps: `terrarium backup take NAME --kind logical`.",
        ) from error
    if ended.returncode:
        raise TemporaryError(
            f"{pair.environment}: barman's base backup failed: {_find_fault(ended.stderr)}",
            "Mend what it names: the primary, its role `backup`, the way to the vault. It is tried again.",
        )


def _list_options(account: AwsAccount, folder: str) -> list[str]:
    is_emulated = account.kind == "emulator" and account.endpoint_url
    place = ["--endpoint-url", str(account.endpoint_url), "--addressing-style", "path"] if is_emulated else []
    key = ["--sse-kms-key-id", account.kms_key_id] if account.kms_key_id else []
    how = ["--lz4", "--immediate-checkpoint", "--jobs", "1", "--encryption", "aws:kms"]
    return [*how, *key, *place, f"s3://{account.vault_bucket}/{folder}", SERVER]


def _read_credentials(account: AwsAccount) -> tuple[dict[str, str], float]:
    """For the child alone: keys that were asked for now, and for how many seconds it may work with them."""
    with account.translated("asking for the keys of a base backup"):
        found = account.afresh().session().get_credentials()
        keys = found.get_frozen_credentials() if found else None
    if keys is None:
        raise PermanentError(
            f"account {account.name}: there are no keys to take a base backup with.", "Give it a role."
        )
    token = {"AWS_SESSION_TOKEN": keys.token} if keys.token else {}
    variables = {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "HOME": "/nonexistent",
        "AWS_ACCESS_KEY_ID": str(keys.access_key),
        "AWS_SECRET_ACCESS_KEY": str(keys.secret_key),
        **token,
        "AWS_DEFAULT_REGION": account.region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return variables, _limit_seconds(found)


def _limit_seconds(credentials: Any) -> float:
    """Until shortly before the keys end, where they tell it: botocore has no public name for that."""
    expires_at: datetime | None = getattr(credentials, "_expiry_time", None)
    left = (expires_at - datetime.now(UTC)).total_seconds() - MARGIN_SECONDS if expires_at else TIMEOUT_SECONDS
    return max(0.0, min(left, TIMEOUT_SECONDS))


def _find_fault(told: str) -> str:
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    grave = [line for line in lines if "ERROR" in line]
    return ([*lines, *grave] or ["it gave no reason"])[-1]


def fetch_base(account: AwsAccount, folder: str, target: Path) -> None:
    """Unpack a base backup into a new folder, by reading alone, as it comes: nothing is kept beside it.

    UnreadableBaseError where it is not there, or is no archive any more.
    """
    target.mkdir(mode=0o700, parents=True)
    keys = sorted(key for key in list_keys(account, folder) if key.endswith(ARCHIVE_SUFFIX))
    if not keys:
        raise UnreadableBaseError(f"The vault has no base backup in {folder}.", "Take another one.")
    for key in keys:
        with account.translated(f"fetching {key} from {account.vault_bucket}"):
            body = account.client("s3").get_object(Bucket=account.vault_bucket, Key=key)["Body"]
            unpack(body, key, target)
    # A server that was made as a standby still has the list of the files that it was copied from: it is of another day.
    (target / "backup_manifest").unlink(missing_ok=True)
