"""Who may ask the API: the holder of the one token that `make up` makes. What is not in OPEN_PATHS is denied."""

import hashlib
import hmac
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from domain.errors import PermanentError

#: What anybody may read: whether the API lives, and what it can do.
OPEN_PATHS = ("/health", "/openapi.json")
#: The actor of everything that the one token asks for.
ACTOR = "operator"

_read_bearer = HTTPBearer(auto_error=False, description="The token in the state folder, made by `make up`.")


class UnauthorizedError(PermanentError):
    """No token, or a wrong one."""


def hash_token(token: str) -> bytes:
    """What the process keeps of a token."""
    return hashlib.sha256(token.encode()).digest()


def read_token_hash(token_file: Path) -> bytes:
    """The hash of the token in a file. PermanentError where the file is missing or holds no token of any length."""
    try:
        token = token_file.read_text().strip()
    except OSError as error:
        raise PermanentError(
            f"The API has no token: {token_file} cannot be read.", "Run `make up`, which makes it."
        ) from error
    if len(token) < 32:
        raise PermanentError(f"The token in {token_file} is too short.", "Remove the file and run `make up`.")
    return hash_token(token)


def authorize(request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_read_bearer)]) -> None:
    """Let a request through that is open or brings the token; UnauthorizedError for every other one."""
    if request.url.path in OPEN_PATHS:
        return
    if bearer is None or not hmac.compare_digest(hash_token(bearer.credentials), request.app.state.token_hash):
        raise UnauthorizedError(
            "This address needs the token.", "Send `Authorization: Bearer TOKEN`, with the token in the state folder."
        )
