"""Accounts: register, list and check them. A check asks the account itself and changes nothing."""

from fastapi import APIRouter

from console.contract_account import AccountCheck, Accounts
from console.sources import Given, Sources, UnknownError
from domain.account import Account, refuse_other
from domain.errors import TerrariumError

router = APIRouter(prefix="/api/accounts", tags=["accounts"])


@router.get("")
def get_accounts(sources: Given) -> Accounts:
    """Every account that is registered."""
    return Accounts(accounts=sources.accounts.list_accounts())


@router.post("")
def add_account(sources: Given, request: Account) -> Account:
    """Register an account, or change the one of that name; never to another number or kind: 409."""
    known = next((one for one in sources.accounts.list_accounts() if one.name == request.name), None)
    refuse_other(known, request)
    sources.accounts.save_account(request)
    return request


@router.post("/{name}/check")
def check_account(sources: Given, name: str) -> AccountCheck:
    """Whose calls land in an account, and whether its buckets are there. What is wrong is an answer, not an error."""
    account = _find_account(sources, name)
    try:
        return _ask(account)
    except TerrariumError as error:
        return AccountCheck(
            account=name,
            ok=False,
            identity=None,
            is_bootstrapped=False,
            detail=error.summary,
            resolution=error.resolution,
        )


def _find_account(sources: Sources, name: str) -> Account:
    found = next((one for one in sources.accounts.list_accounts() if one.name == name), None)
    if found is None:
        raise UnknownError(f"There is no account {name}.", "`terrarium account list` shows those that there are.")
    return found


def _ask(account: Account) -> AccountCheck:
    # Here, because Prefect and boto3 cost seconds and 100 MB, and this is asked rarely.
    from blocks.aws import AwsAccount

    block = AwsAccount(**account.model_dump())
    identity, is_bootstrapped = block.identity(), block.is_bootstrapped()
    return AccountCheck(
        account=account.name,
        ok=is_bootstrapped,
        identity=identity["arn"],
        is_bootstrapped=is_bootstrapped,
        detail=f"calls land in {identity['account']} as {identity['arn']}",
        resolution="" if is_bootstrapped else f"{account.state_bucket} or {account.vault_bucket} is not there.",
    )
