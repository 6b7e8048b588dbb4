"""The first token: an administrator's, in the state folder, for the user who ran `make up` and nobody else.

It needs no API: who runs `make up` holds the ledger's password anyway.
"""

from itertools import chain, count
from pathlib import Path

from blocks.ledger import Ledger
from domain.access import Role, hash_token
from domain.errors import PermanentError

NAME = "admin"
ACTOR = "stack"
SHORTEST = 32


def record_first_token(ledger: Ledger, token_file: Path) -> str | None:
    """Put the token of the state folder on record, and end those that were there before it; its name, None where it is.

    A token that somebody revoked stays so: remove the file, and the next `make up` draws another one.
    """
    token = token_file.read_text().strip()
    if len(token) < SHORTEST:
        raise PermanentError(f"The token in {token_file} is too short.", "Remove the file and run `make up`.")
    if ledger.find_token(hash_token(token)):
        return None
    known = {row.name: row for row in ledger.list_tokens()}
    for row in known.values():
        if row.actor == ACTOR and row.revoked_at is None:
            ledger.revoke_token(row.name, ACTOR, "another one is in the state folder")
    name = next(name for name in chain([NAME], (f"{NAME}-{n}" for n in count(2))) if name not in known)
    ledger.add_token(name, hash_token(token), Role.ADMINISTRATOR, None, ACTOR)
    return name
