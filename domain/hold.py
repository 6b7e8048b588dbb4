"""A hold: a person keeps an environment as it is, for a reason and a time. It stops new changes, never a way back."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from domain.errors import RefusedError
from domain.status import Operation

#: Operations that go on under a hold: what changes nothing, and the way out of a disaster.
UNHELD = frozenset({Operation.PLAN, Operation.BACKUP, Operation.VERIFY, Operation.FAILOVER})


class Hold(BaseModel):
    """Who holds an environment, why and until when."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    environment: str
    holder: str
    reason: str
    expires_at: datetime

    def is_in_force(self, now: datetime) -> bool:
        """Its time is not over."""
        return now < self.expires_at


def refuse_held(operation: Operation, hold: Hold | None, now: datetime) -> None:
    """RefusedError where a new change meets a hold; undo, abort, rollback, sweeper and failover never ask."""
    if operation in UNHELD or hold is None or not hold.is_in_force(now):
        return
    raise RefusedError(
        f"{hold.environment} is held by {hold.holder} until {hold.expires_at:%Y-%m-%d %H:%M} UTC: {hold.reason}",
        f"Wait, ask {hold.holder}, or end it: `terrarium unhold {hold.environment}`.",
    )


def refuse_second(hold: Hold | None, holder: str, now: datetime) -> None:
    """RefusedError where somebody else holds the environment; the holder's own hold is replaced."""
    if hold and hold.is_in_force(now) and hold.holder != holder:
        raise RefusedError(
            f"{hold.environment} is held already, by {hold.holder} until {hold.expires_at:%Y-%m-%d %H:%M} UTC.",
            f"End that first: `terrarium unhold {hold.environment}`.",
        )
