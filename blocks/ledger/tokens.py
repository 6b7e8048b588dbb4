"""Tokens: who may ask. Only the hash of a token is on record; a revocation is a record of its own."""

from datetime import datetime

from sqlalchemy import select

from blocks.ledger.database import Database
from blocks.ledger.rows import TokenRow
from blocks.ledger.team_tables import token, token_revocation
from blocks.ledger.views import token_state
from domain.access import Role
from domain.errors import PermanentError


class Tokens(Database):
    """Named tokens with a role. A name is given once, for events name their actor by it."""

    def add_token(self, name: str, sha256: str, role: Role, expires_at: datetime | None, actor: str) -> None:
        """Record a token by its hash; PermanentError where the name was given before."""
        row = {"name": name, "sha256": sha256, "role": Role(role).value, "expires_at": expires_at, "actor": actor}
        with self._append() as chain:
            if chain.fetch(select(token.c.seq).where(token.c.name == name)):
                raise PermanentError(
                    f"There is, or was, a token {name}.", "A name is given once: take another, such as one with a year."
                )
            chain.append(token, row, environment="", actor=actor, outcome=f"{name}: {role}")

    def find_token(self, sha256: str) -> TokenRow | None:
        """The token with this hash, valid or not; None where none was ever given."""
        with self._read() as connection:
            row = connection.execute(select(token_state).where(token_state.c.sha256 == sha256)).first()
        return TokenRow.model_validate(row) if row else None

    def list_tokens(self) -> list[TokenRow]:
        """Every token that was ever given, oldest first."""
        with self._read() as connection:
            rows = connection.execute(select(token_state).order_by(token_state.c.created_at, token_state.c.name))
            return [TokenRow.model_validate(row) for row in rows]

    def revoke_token(self, name: str, actor: str, reason: str = "") -> None:
        """End a token at once; a second time changes nothing. PermanentError for an unknown name."""
        with self._append() as chain:
            if chain.fetch(select(token.c.seq).where(token.c.name == name)) is None:
                raise PermanentError(f"There is no token {name}.", "`terrarium token list` shows those that there are.")
            if chain.fetch(select(token_revocation.c.seq).where(token_revocation.c.name == name)):
                return
            row = {"name": name, "actor": actor, "reason": reason}
            chain.append(token_revocation, row, environment="", actor=actor, reason=reason, outcome=f"{name}: revoked")
