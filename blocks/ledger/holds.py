"""Holds: who keeps an environment as it is. One at a time; a newer one of the same person takes its place."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from blocks.ledger.chain import ChainWriter
from blocks.ledger.database import Database
from blocks.ledger.team_tables import hold, hold_release
from blocks.ledger.views import open_hold
from domain.hold import Hold, refuse_second


class Holds(Database):
    """Holds and their releases."""

    def add_hold(self, environment: str, actor: str, reason: str, expires_at: datetime) -> None:
        """Hold an environment; RefusedError where somebody else does."""
        row = {"environment": environment, "actor": actor, "reason": reason, "expires_at": expires_at}
        with self._append() as chain:
            newest = chain.fetch(_select_open(environment))
            refuse_second(Hold.model_validate(newest) if newest else None, actor, chain.at)
            _release(chain, environment, actor, "replaced by a newer one")
            outcome = f"until {expires_at:%Y-%m-%dT%H:%M:%SZ}"
            chain.append(hold, row, environment=environment, actor=actor, reason=reason, outcome=outcome)

    def read_hold(self, environment: str) -> Hold | None:
        """The newest hold that nobody released, though its time may be over; None where there is none."""
        with self._read() as connection:
            row = connection.execute(_select_open(environment)).first()
        return Hold.model_validate(row) if row else None

    def release_hold(self, environment: str, actor: str, reason: str = "") -> None:
        """End what holds an environment; without a hold nothing changes."""
        with self._append() as chain:
            _release(chain, environment, actor, reason)


def _release(chain: ChainWriter, environment: str, actor: str, reason: str) -> None:
    for held in chain.connection.execute(_select_open(environment)).all():
        row = {"hold_seq": held.seq, "environment": environment, "actor": actor, "reason": reason}
        chain.append(hold_release, row, environment=environment, actor=actor, reason=reason, outcome="released")


def _select_open(environment: str) -> Select[Any]:
    query = select(open_hold, open_hold.c.actor.label("holder")).where(open_hold.c.environment == environment)
    return query.order_by(open_hold.c.seq.desc())
