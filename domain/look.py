"""Looks at the primary of a database pair, and what a watcher knows from them.

Two vantage points look: the `clients'`, through the environment's database name, and the `standby's`, over the link
between the two servers. Invariant: all times are the watcher's own clock, so no two clocks are compared.
"""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.pair import Node

Vantage = Literal["clients", "standby"]
VANTAGES: tuple[Vantage, Vantage] = ("clients", "standby")
#: Of the primary's positions that the standby has not reached yet, so many are remembered.
MOST_POSITIONS = 64


class Look(BaseModel):
    """What one vantage point saw at a moment: the primary answered there, or it did not."""

    model_config = ConfigDict(frozen=True)

    vantage: Vantage
    at: datetime
    is_answered: bool


class PrimarySample(BaseModel):
    """What the primary said of itself, asked through the name; `lsn` is where its WAL ends, in bytes."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    node: Node
    timeline: int
    lsn: int
    is_synchronous: bool


class StandbySample(BaseModel):
    """What the standby said of itself: how much it has of the WAL, and when it last heard of its primary.

    `timeline` is None where it receives nothing now: then it is where it was.
    """

    model_config = ConfigDict(frozen=True)

    at: datetime
    timeline: int | None
    lsn: int
    heard_at: datetime | None


class Sight(BaseModel):
    """What one vantage point has seen up to now. `gone_since`: its first look without an answer since the last one."""

    model_config = ConfigDict(frozen=True)

    looked_at: datetime | None = None
    seen_at: datetime | None = None
    gone_since: datetime | None = None

    def is_gone(self, now: datetime, detection: timedelta) -> bool:
        """It has seen nothing of the primary for the whole detection time."""
        return self.gone_since is not None and now - self.gone_since >= detection

    @property
    def unseen_seconds(self) -> float:
        """Since it has seen the primary last, whatever a run did meanwhile; 0 where it sees it, or never did."""
        if self.looked_at is None or self.seen_at is None:
            return 0.0
        return max((self.looked_at - self.seen_at).total_seconds(), 0.0)


class Watched(BaseModel):
    """What is known of one environment. `whole_at`: the last moment whose writes the standby has, all of them.

    Until `primary` is known nothing was seen that could be lost.
    """

    model_config = ConfigDict(frozen=True)

    primary: PrimarySample | None = None
    standby: StandbySample | None = None
    clients_sight: Sight = Sight()
    standby_sight: Sight = Sight()
    whole_at: datetime | None = None
    ahead: tuple[PrimarySample, ...] = ()

    def sight(self, vantage: Vantage) -> Sight:
        """What a vantage point has seen."""
        return self.clients_sight if vantage == "clients" else self.standby_sight


def note_look(watched: Watched, look: Look, longest_gap: timedelta) -> Watched:
    """What is known after a look. A watcher that has not looked for longer than the gap begins to count anew."""
    before = watched.sight(look.vantage)
    if look.is_answered:
        sight = Sight(looked_at=look.at, seen_at=look.at)
    else:
        has_slept = before.looked_at is None or look.at - before.looked_at > longest_gap
        since = look.at if has_slept or before.gone_since is None else before.gone_since
        sight = before.model_copy(update={"looked_at": look.at, "gone_since": since})
    return watched.model_copy(update={f"{look.vantage}_sight": sight})


def note_run(watched: Watched) -> Watched:
    """What is still known while a run changes the pair: who was seen when. Counting begins anew after it, and until
    both have spoken again nobody knows what the standby has."""
    counts = {f"{one}_sight": watched.sight(one).model_copy(update={"gone_since": None}) for one in VANTAGES}
    return watched.model_copy(update={"whole_at": None, "ahead": (), **counts})


def note_primary(watched: Watched, sample: PrimarySample) -> Watched:
    """What is known after the primary has spoken. Another primary, or another timeline, is another story."""
    known = watched.primary
    if known and (known.node, known.timeline) != (sample.node, sample.timeline):
        return Watched(primary=sample, ahead=(sample,))
    ahead = watched.ahead if len(watched.ahead) < MOST_POSITIONS else watched.ahead[::2]
    return watched.model_copy(update={"primary": sample, "ahead": (*ahead, sample)})


def note_standby(watched: Watched, sample: StandbySample) -> Watched:
    """What is known after the standby has spoken. A message from its primary counts as seen, when it came."""
    if sample.timeline is None and watched.standby:
        sample = sample.model_copy(update={"timeline": watched.standby.timeline})
    updates: dict[str, object] = {"standby": sample}
    sight = watched.standby_sight
    if sample.heard_at and (sight.seen_at is None or sample.heard_at > sight.seen_at):
        is_back = sight.gone_since is None or sample.heard_at >= sight.gone_since
        since = None if is_back else sight.gone_since
        updates["standby_sight"] = sight.model_copy(update={"seen_at": sample.heard_at, "gone_since": since})
    if watched.primary and sample.timeline == watched.primary.timeline:
        reached = [one for one in watched.ahead if one.lsn <= sample.lsn and one.at <= sample.at]
        if reached:
            updates["whole_at"] = max(one.at for one in reached)
            updates["ahead"] = tuple(one for one in watched.ahead if one not in reached)
    return watched.model_copy(update=updates)
