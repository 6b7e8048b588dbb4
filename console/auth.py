"""Who asks: a call brings a named token, and the ledger says whose it is, with which role, and until when."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from console.access import list_roles
from console.sources import Sources, UnknownError
from domain.access import Caller, Role, hash_token, identify, refuse_role
from domain.errors import PermanentError, RefusedError

#: For the document of the API alone: console/gate.py has read the token before a route is reached.
read_bearer = HTTPBearer(auto_error=False, description="A token of `terrarium token create`, or the one of `make up`.")

SEE_DOCUMENT = "See /openapi.json for what there is."


class UnauthorizedError(PermanentError):
    """No token, or one that is unknown, revoked or over."""


class ForbiddenError(RefusedError):
    """A token whose role is too small."""


class WrongMethodError(PermanentError):
    """An address that does not know the method; `allowed` are those that it knows."""

    def __init__(self, allowed: list[str]) -> None:
        super().__init__(f"This address knows {', '.join(allowed)}, nothing else.", SEE_DOCUMENT)
        self.allowed = allowed


def authenticate(sources: Sources, authorization: str) -> Caller:
    """Who brings this `Authorization` header; UnauthorizedError where nobody does. The ledger is asked every time:
    a revocation holds from the next call on."""
    scheme, _, token = authorization.partition(" ")
    found = sources.ledger.find_token(hash_token(token)) if scheme.lower() == "bearer" and token else None
    caller = identify(found, sources.read_clock())
    if caller is None:
        raise UnauthorizedError(
            "This address needs a token, and one that is neither revoked nor over.",
            "Send `Authorization: Bearer TOKEN`. `make up` writes the first one; administrators give others.",
        )
    return caller


def authorize(caller: Caller, method: str, path: str) -> None:
    """ForbiddenError for a role that is too small; UnknownError and WrongMethodError for what is not in the table."""
    roles = list_roles(path)
    if not roles:
        raise UnknownError("There is no such address.", SEE_DOCUMENT)
    if method not in roles:
        raise WrongMethodError(sorted(roles))
    refuse_smaller(caller, roles[method])


def refuse_smaller(caller: Caller, least: Role) -> None:
    """ForbiddenError for a role that is smaller than `least`."""
    try:
        refuse_role(caller, least)
    except RefusedError as refusal:
        raise ForbiddenError(refusal.summary, refusal.resolution) from refusal


def _give_caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


Asker = Annotated[Caller, Depends(_give_caller)]
