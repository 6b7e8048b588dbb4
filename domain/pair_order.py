"""How a pair is put in order from any state: exactly one writable primary, and the other side behind it.

Order: what may still take writes beside the chosen one is fenced before the chosen one is started or promoted.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.pair import Node, PairState, other


class PairOrder(BaseModel):
    """Who is to be the primary, and how it becomes so; `rejoins` says that the other side is fenced and joins again."""

    model_config = ConfigDict(frozen=True)

    primary: Node
    act: Literal["stays", "restart", "promote"]
    rejoins: bool


def decide_order(state: PairState, before: Node, *, goes_forward: bool) -> PairOrder:
    """The way to order. `before` was the primary; `goes_forward`: where nobody takes writes, the other one shall.

    A promotion that was begun may still come true by itself, so from then on there is no way but forward. Of two
    primaries the one of the newer timeline was promoted: the other was to be fenced.
    """
    after = other(before)
    primaries = sorted(state.primaries, key=lambda one: one.timeline or 0)
    if primaries:
        primary = primaries[-1].node
        return PairOrder(primary=primary, act="stays", rejoins=len(primaries) > 1 or not _follows(state, primary))
    if goes_forward:
        return PairOrder(primary=after, act="promote", rejoins=True)
    return PairOrder(primary=before, act="restart", rejoins=state.of(after).is_primary is None)


def _follows(state: PairState, primary: Node) -> bool:
    """The other side runs as a standby of this primary's timeline; whether it streams is waited for, not guessed."""
    standby = state.of(other(primary))
    return standby.is_primary is False and not standby.is_fenced and standby.timeline == state.of(primary).timeline
