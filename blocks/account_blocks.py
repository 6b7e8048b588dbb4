"""Accounts as Prefect keeps them, by its REST API: importing Prefect itself would cost the console a second."""

from typing import Any, Protocol

from pydantic import ValidationError

from blocks.prefect_api import PrefectApi
from domain.account import Account
from domain.errors import PermanentError

#: The block type of blocks/aws.py::AwsAccount.
SLUG = "terrarium-aws-account"


class AccountsApi(Protocol):
    """What the console asks about accounts; the fake of the tests obeys it too."""

    def list_accounts(self) -> list[Account]:
        """Every account, by name."""

    def save_account(self, account: Account) -> None:
        """Register an account, or change the one of that name."""


class AccountBlocks:
    """The blocks of type AwsAccount."""

    def __init__(self, prefect: PrefectApi) -> None:
        self._prefect = prefect

    def list_accounts(self) -> list[Account]:
        """Every account, by name. PermanentError names a block that is none."""
        return [_read(block) for block in self._find_blocks()]

    def save_account(self, account: Account) -> None:
        """Register an account, or change the one of that name. PermanentError before `make up` made the type known."""
        data = account.model_dump(exclude_none=True)
        for block in self._find_blocks():
            if block["name"] == account.name:
                change = {"data": data, "merge_existing_data": False}
                self._prefect.call("PATCH", f"/block_documents/{block['id']}", change)
                return
        block_type = self._prefect.call("GET", f"/block_types/slug/{SLUG}")
        wanted = {"block_schemas": {"block_type_id": {"any_": [block_type["id"]]}}} if block_type else {}
        schemas = self._prefect.call("POST", "/block_schemas/filter", wanted) if block_type else []
        if not schemas:
            raise PermanentError("Prefect does not know what an account is.", "Run `make up`, which registers it.")
        ids = {"block_type_id": block_type["id"], "block_schema_id": schemas[0]["id"]}
        self._prefect.call("POST", "/block_documents/", {"name": account.name, "data": data, **ids})

    def _find_blocks(self) -> list[dict[str, Any]]:
        wanted = {"block_types": {"slug": {"any_": [SLUG]}}, "limit": 200}
        found = self._prefect.call("POST", "/block_documents/filter", wanted) or []
        return sorted(found, key=lambda block: str(block["name"]))


def _read(block: dict[str, Any]) -> Account:
    known = {name: value for name, value in block["data"].items() if name in Account.model_fields}
    try:
        return Account.model_validate(known)
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'block'}: {item['msg']}" for item in error.errors())
        raise PermanentError(
            f"The block {block['name']} is no account: {places}.", "Correct it in the Prefect UI, or delete it."
        ) from error
