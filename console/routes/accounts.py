"""Accounts: register, list and check them. A check asks the account itself and changes nothing."""

import uuid

from fastapi import APIRouter, Response

from console.auth import Asker
from console.contract import Run
from console.contract_account import AccountCheck, Accounts, BootstrapRequest
from console.routes.asking import Asked, answer_once
from console.routes.views import merge_run
from console.sources import Given, Sources, UnknownError
from domain.account import Account, describe_change, keep_key, refuse_other
from domain.errors import TerrariumError
from domain.status import Operation

router = APIRouter(prefix="/api/accounts", tags=["accounts"])


@router.get("")
def get_accounts(sources: Given) -> Accounts:
    """Every account that is registered."""
    return Accounts(accounts=sources.accounts.list_accounts())


@router.post("")
def add_account(sources: Given, caller: Asker, request: Account) -> Account:
    """Register an account, or change the one of that name: 409 for another number or kind.

    409 too for another region or bucket while environments live there. A key that is known stays where none is given.
    """
    known = next((one for one in sources.accounts.list_accounts() if one.name == request.name), None)
    refuse_other(known, request, sources.ledger.list_living(request.name))
    wanted = keep_key(known, request)
    if wanted != known:
        told = describe_change(known, wanted)
        sources.ledger.add_request(str(uuid.uuid4()), "", Operation.ACCOUNT, None, None, caller.name, told)
        sources.accounts.save_account(wanted)
    return wanted


@router.post("/{name}/bootstrap", status_code=202)
def bootstrap_account(sources: Given, asking: Asked, name: str, request: BootstrapRequest, response: Response) -> Run:
    """Start the run that makes buckets, key and role of an account."""
    _find_account(sources, name)

    def start() -> Run:
        sources.ledger.add_request(
            asking.request_id, "", Operation.BOOTSTRAP, None, None, asking.actor, name, fingerprint=asking.fingerprint
        )
        parameters: dict[str, str | int] = {"account": name, "recovery_region": request.recovery_region}
        key = asking.request_id
        return merge_run(sources, None, sources.prefect.start_run(Operation.BOOTSTRAP.value, parameters, key))

    return answer_once(response, sources, asking, start)


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
