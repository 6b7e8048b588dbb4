"""The JSON of accounts. Part of the contract of console/contract.py."""

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
