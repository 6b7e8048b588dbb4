"""Backups in the vault of an account: what was taken and its manifest, each under the account's key.

Invariant: the manifest is written last and removed first, so a manifest always has its backup.
"""

from pathlib import Path

from blocks.aws import AwsAccount
from blocks.vault import address, put_object, upload_file

DUMP, MANIFEST = "dump", "manifest.json"


def keep_backup(account: AwsAccount, folder: str, file: Path, manifest: str) -> str:
    """Keep a dump and its manifest; the address of their folder."""
    upload_file(account, f"{folder}/{DUMP}", file)
    return keep_manifest(account, folder, manifest)


def keep_manifest(account: AwsAccount, folder: str, manifest: str) -> str:
    """Keep a manifest beside what it describes; the address of their folder."""
    put_object(account, f"{folder}/{MANIFEST}", manifest.encode())
    return address(account, folder)


def list_keys(account: AwsAccount, folder: str) -> list[str]:
    """The keys of all current objects of a backup; none where it is gone."""
    with account.translated(f"listing {folder} of {account.vault_bucket}"):
        pages = account.client("s3").get_paginator("list_objects_v2")
        listed = pages.paginate(Bucket=account.vault_bucket, Prefix=f"{folder}/")
        return [row["Key"] for page in listed for row in page.get("Contents", ())]


def fetch_backup(account: AwsAccount, folder: str, target: Path) -> Path:
    """Bring a dump into a folder of ours, by reading alone; its file."""
    file = target / DUMP
    with account.translated(f"fetching {folder} from {account.vault_bucket}"):
        account.client("s3").download_file(account.vault_bucket, f"{folder}/{DUMP}", str(file))
    file.chmod(0o600)
    return file


def delete_backup(account: AwsAccount, folder: str) -> None:
    """Let a backup go, with what was uploaded in part; what the bucket's retention still holds stays as an old version.

    Gone is gone.
    """
    manifest, s3 = f"{folder}/{MANIFEST}", account.client("s3")
    keys = sorted(list_keys(account, folder), key=lambda key: key != manifest)
    with account.translated(f"letting {folder} of {account.vault_bucket} go"):
        for key in keys:
            s3.delete_object(Bucket=account.vault_bucket, Key=key)
        pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=account.vault_bucket, Prefix=f"{folder}/")
        for row in [row for page in pages for row in page.get("Uploads", ())]:
            s3.abort_multipart_upload(Bucket=account.vault_bucket, Key=row["Key"], UploadId=row["UploadId"])
