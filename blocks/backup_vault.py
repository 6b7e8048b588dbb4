"""Backups in the vault of an account: a dump and its manifest, each under the account's key.

Invariant: the manifest is written after the dump and removed before it, so a manifest always has its dump.
"""

from pathlib import Path

from blocks.aws import AwsAccount
from blocks.vault import address, put_object, upload_file

DUMP, MANIFEST = "dump", "manifest.json"


def keep_backup(account: AwsAccount, folder: str, file: Path, manifest: str) -> str:
    """Keep a dump and its manifest; the address of their folder."""
    upload_file(account, f"{folder}/{DUMP}", file)
    put_object(account, f"{folder}/{MANIFEST}", manifest.encode())
    return address(account, folder)


def fetch_backup(account: AwsAccount, folder: str, target: Path) -> Path:
    """Bring a dump into a folder of ours, by reading alone; its file."""
    file = target / DUMP
    with account.translated(f"fetching {folder} from {account.vault_bucket}"):
        account.client("s3").download_file(account.vault_bucket, f"{folder}/{DUMP}", str(file))
    file.chmod(0o600)
    return file


def delete_backup(account: AwsAccount, folder: str) -> None:
    """Let a backup go; what the bucket's retention still holds stays as an old version. Gone is gone."""
    with account.translated(f"letting {folder} of {account.vault_bucket} go"):
        for name in (MANIFEST, DUMP):
            account.client("s3").delete_object(Bucket=account.vault_bucket, Key=f"{folder}/{name}")
