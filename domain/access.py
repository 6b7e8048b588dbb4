"""Who may do what: a role is a rung, and whoever stands on a higher one may do what the lower ones may.

Until single sign-on a token stands for its holder: this separates tokens, not people.
"""

import hashlib
import re
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from domain.errors import RefusedError

NAME = re.compile(r"[a-z](-?[a-z0-9]){0,39}")
#: Actors that are no token: an event that one of them is named in was never a token's. `console` is the flow of runs
#: that were refused before they began: nobody is to be taken for it.
RESERVED = frozenset({"prefect-ui", "schedule", "stack", "ttl", "sweeper", "watcher", "console"})


class Role(StrEnum):
    """The roles, from the least to the most."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    OPERATOR = "operator"
    SECURITY_OFFICER = "security_officer"
    ADMINISTRATOR = "administrator"

    def includes(self, other: "Role") -> bool:
        """Whether who has this role may do what `other` may."""
        rungs = list(Role)
        return rungs.index(self) >= rungs.index(other)


class Caller(BaseModel):
    """Who asks: the token's name, which is the actor of everything that it asks for, and its role."""

    model_config = ConfigDict(frozen=True)

    name: str
    role: Role


class Credential(BaseModel):
    """A token as it is on record. Its value is on no record."""

    model_config = ConfigDict(frozen=True)

    name: str
    role: Role
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Neither revoked nor over."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def hash_token(token: str) -> str:
    """What is kept of a token. Unsalted and fast is enough for 256 random bits, which nobody can guess."""
    return hashlib.sha256(token.encode()).hexdigest()


def identify(credential: Credential | None, now: datetime) -> Caller | None:
    """Who brings a token; None where it is unknown, revoked or over."""
    if credential is None or not credential.is_valid(now):
        return None
    return Caller(name=credential.name, role=credential.role)


def refuse_role(caller: Caller, least: Role) -> None:
    """RefusedError where the caller's role is too small."""
    if not caller.role.includes(least):
        raise RefusedError(
            f"The token {caller.name} has the role {caller.role}; this needs {least} or more.",
            "Ask somebody whose token has that role, or an administrator for another token.",
        )


def refuse_name(name: str) -> None:
    """RefusedError for a name that no token may have: events name their actor by it."""
    if name in RESERVED or not NAME.fullmatch(name):
        raise RefusedError(
            f"A token cannot be called {name!r}.",
            "Take at most 40 small letters, digits and single hyphens, beginning with a letter; "
            f"{', '.join(sorted(RESERVED))} are taken.",
        )
