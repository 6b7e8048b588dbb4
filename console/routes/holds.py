"""Holds: a person keeps an environment as it is, for a reason and a time."""

from datetime import timedelta

from fastapi import APIRouter

from console.auth import Asker
from console.contract import Hold
from console.contract_people import HoldRequest
from console.routes.requests import read_environment
from console.routes.views import show_hold
from console.sources import Given, UnknownError

router = APIRouter(prefix="/api/environments/{name}/hold", tags=["holds"])


@router.post("")
def hold_environment(sources: Given, caller: Asker, name: str, request: HoldRequest) -> Hold:
    """Refuse new changes of an environment for a while. Your own hold is replaced, another's is not: 409."""
    read_environment(sources, name)
    expires_at = sources.read_clock() + timedelta(minutes=request.duration)
    sources.ledger.add_hold(name, caller.name, request.reason, expires_at)
    return Hold(environment=name, holder=caller.name, reason=request.reason, expires_at=expires_at)


@router.delete("")
def release_environment(sources: Given, caller: Asker, name: str) -> Hold:
    """End a hold, whoever's it is; the ledger keeps who ended it. 404 where there is none."""
    hold = show_hold(sources, name)
    if hold is None:
        raise UnknownError(f"Nobody holds {name}.", f"`terrarium env show {name}` shows a hold where there is one.")
    sources.ledger.release_hold(name, caller.name)
    return hold
