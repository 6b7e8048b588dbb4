"""The JSON of accounts. Part of the contract of console/contract.py."""

from pydantic import BaseModel, ConfigDict, Field

from console.contract import Answer
from domain.account import Account


class Accounts(Answer):
    """Every account that is registered, by name."""

    accounts: list[Account]


class AccountCheck(Answer):
    """Whose an account's calls are, and whether its buckets are there. `resolution` says what to do where not `ok`."""

    account: str
    ok: bool
    identity: str | None
    is_bootstrapped: bool
    detail: str
    resolution: str = ""


class BootstrapRequest(BaseModel):
    """Where an account's environments may recover."""

    model_config = ConfigDict(extra="forbid")

    recovery_region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", examples=["eu-west-1"])
