"""Tokens: give, list and revoke them. The ledger has their hashes alone."""

import secrets
from datetime import timedelta

from fastapi import APIRouter, Response

from blocks.ledger.rows import TokenRow
from console.auth import Asker
from console.contract_people import NewToken, Token, TokenRequest, Tokens
from console.sources import Given, Sources, UnknownError
from domain.access import hash_token, refuse_name

router = APIRouter(prefix="/api/tokens", tags=["tokens"])
TOKEN_BYTES = 32


@router.get("")
def get_tokens(sources: Given) -> Tokens:
    """Every token that was ever given, with its role and what became of it."""
    return Tokens(tokens=[_show_token(row) for row in sources.ledger.list_tokens()])


@router.post("", status_code=201)
def create_token(sources: Given, caller: Asker, request: TokenRequest, response: Response) -> NewToken:
    """A new token. Its value is in this answer and nowhere else."""
    refuse_name(request.name)
    value = secrets.token_urlsafe(TOKEN_BYTES)
    expires_at = None if request.expires is None else sources.read_clock() + timedelta(minutes=request.expires)
    sources.ledger.add_token(request.name, hash_token(value), request.role, expires_at, caller.name)
    response.headers["Cache-Control"] = "no-store"
    return NewToken(token=_find_token(sources, request.name), value=value)


@router.delete("/{name}")
def revoke_token(sources: Given, caller: Asker, name: str) -> Token:
    """End a token, from the next call on. A second time changes nothing."""
    _find_token(sources, name)
    sources.ledger.revoke_token(name, caller.name)
    return _find_token(sources, name)


def _find_token(sources: Sources, name: str) -> Token:
    found = next((row for row in sources.ledger.list_tokens() if row.name == name), None)
    if found is None:
        raise UnknownError(f"There is no token {name}.", "`terrarium token list` shows those that there are.")
    return _show_token(found)


def _show_token(row: TokenRow) -> Token:
    fields = row.model_dump(include=set(Token.model_fields))
    return Token(**fields, created_by=row.actor)
