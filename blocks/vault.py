"""The vault of an account: anchors of the chain and backups, each under the key of the account and its retention.

Old versions are listed too, so an object that somebody hid behind a delete marker is still there for us.
"""

from pathlib import Path
from typing import Any

import httpx

from blocks.aws import AwsAccount
from domain.errors import PermanentError, TemporaryError
from domain.evidence import Anchor, name_folder, read_anchor

BLOCK_TYPE = "terrarium-aws-account"


def put_object(account: AwsAccount, key: str, content: bytes) -> str:
    """Keep a small object, encrypted; its address. Again: the same object."""
    with account.translated(f"keeping {key} in {account.vault_bucket}"):
        account.client("s3").put_object(Bucket=account.vault_bucket, Key=key, Body=content, **_encryption(account))
    return address(account, key)


def upload_file(account: AwsAccount, key: str, path: Path) -> str:
    """Keep a file of any size, encrypted; its address."""
    with account.translated(f"keeping {key} in {account.vault_bucket}"):
        account.client("s3").upload_file(str(path), account.vault_bucket, key, ExtraArgs=_encryption(account))
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


def find_account(prefect_api_url: str, name: str, auth: tuple[str, str] | None = None) -> AwsAccount:
    """An account's block, asked of Prefect without its client and its settings.

    TemporaryError where Prefect does not answer, PermanentError where it has no such block.
    """
    wanted = {"block_types": {"slug": {"any_": [BLOCK_TYPE]}}, "block_documents": {"name": {"any_": [name]}}}
    try:
        with httpx.Client(timeout=10, trust_env=False, auth=auth) as client:
            answer = client.post(f"{prefect_api_url}/block_documents/filter", json=wanted)
            found = answer.raise_for_status().json()
    except httpx.HTTPError as error:
        raise TemporaryError(
            f"Prefect at {prefect_api_url} does not tell where the vault of {name} is: {type(error).__name__}.",
            "`make status` shows it, `make up` starts it.",
        ) from error
    if not found:
        raise PermanentError(
            f"There is no account {name}, whose vault holds the anchors.",
            "Name one of `terrarium account list` with TERRARIUM_VAULT_ACCOUNT, or register it there.",
        )
    return AwsAccount.model_validate(found[0]["data"])


def _encryption(account: AwsAccount) -> dict[str, Any]:
    key = {"SSEKMSKeyId": account.kms_key_id} if account.kms_key_id else {}
    return {"ServerSideEncryption": "aws:kms", **key}
