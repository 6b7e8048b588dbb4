"""The vault of an account: anchors of the chain and backups, each under the key of the account and its retention.

Old versions are listed too, so an object that somebody hid behind a delete marker is still there for us.
"""

from pathlib import Path

from blocks.account_blocks import AccountBlocks
from blocks.aws import AwsAccount
from blocks.prefect_api import PrefectApi
from domain.errors import PermanentError
from domain.evidence import Anchor, name_folder, read_anchor


def put_object(account: AwsAccount, key: str, content: bytes) -> str:
    """Keep a small object, encrypted; its address. Again: the same object."""
    with account.translated(f"keeping {key} in {account.vault_bucket}"):
        account.client("s3").put_object(Bucket=account.vault_bucket, Key=key, Body=content, **account.encryption)
    return address(account, key)


def upload_file(account: AwsAccount, key: str, path: Path) -> str:
    """Keep a file of any size, encrypted; its address."""
    with account.translated(f"keeping {key} in {account.vault_bucket}"):
        account.client("s3").upload_file(str(path), account.vault_bucket, key, ExtraArgs=account.encryption)
    return address(account, key)


def list_addresses(account: AwsAccount, prefix: str) -> set[str]:
    """The address of everything that the vault has below a prefix; nothing where there is no such bucket."""
    from botocore.exceptions import ClientError

    found: set[str] = set()
    with account.translated(f"listing {prefix} of {account.vault_bucket}"):
        pages = account.client("s3").get_paginator("list_object_versions")
        try:
            for page in pages.paginate(Bucket=account.vault_bucket, Prefix=prefix):
                found |= {address(account, row["Key"]) for row in page.get("Versions", ())}
        except ClientError as error:
            if error.response["Error"].get("Code") != "NoSuchBucket":
                raise
    return found


def list_anchors(account: AwsAccount, ledger: str) -> list[Anchor]:
    """The anchors of a ledger that the vault has, oldest first."""
    found = map(read_anchor, sorted(list_addresses(account, name_folder(ledger))))
    return [anchor for anchor in found if anchor]


def address(account: AwsAccount, key: str) -> str:
    """Where an object of the vault is."""
    return f"s3://{account.vault_bucket}/{key}"


def find_account(prefect: PrefectApi, name: str) -> AwsAccount:
    """An account's block, without Prefect's client. TemporaryError where Prefect is away, PermanentError for none."""
    found = next((one for one in AccountBlocks(prefect).list_accounts() if one.name == name), None)
    if found is None:
        raise PermanentError(
            f"There is no account {name}, whose vault holds the anchors.",
            "Name one of `terrarium account list` with TERRARIUM_VAULT_ACCOUNT, or register it there.",
        )
    return AwsAccount.model_validate(found.model_dump())
