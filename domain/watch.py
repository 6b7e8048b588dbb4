"""When a lost primary is failed over by itself: decided from what the vantage points saw, never by one of them alone.

Order of the rules: who was seen by anybody is not gone; what a run changes is that run's; then whatever forbids it is
told, all of it; only where nothing does a failover is started, once for each outage.
"""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.hold import Hold
from domain.look import VANTAGES, Watched
from domain.spec_parts import Recovery

#: Steps of a run that holds an environment before it comes to the pair; an approval is waited for up to an hour.
BEFORE_THE_PAIR = frozenset(
    {"save_plan", "await_approval", "pin_modules", "apply_infrastructure", "verify_infrastructure"}
)
#: So long, beside the detection time, the standby's word is waited for, which has to be from after the loss.
STANDBY_SECONDS = 5.0


class WatchState(StrEnum):
    """What a watcher makes of an environment. `divided` and `blocked` are alarms."""

    UNKNOWN = "unknown"  # the primary was not seen yet
    SEEN = "seen"
    MISSED = "missed"  # looks without an answer, not for long enough
    BUSY = "busy"  # a run changes the pair
    DIVIDED = "divided"  # one vantage point sees it, the other does not
    BLOCKED = "blocked"  # it is gone, and something forbids a failover
    LOST = "lost"  # it is gone: a failover is started


def end_cooldown(recovery: Recovery, last_failover_at: datetime | None) -> datetime | None:
    """When a failover may start by itself again; None where there was none."""
    return last_failover_at + timedelta(minutes=recovery.failover_cooldown_minutes) if last_failover_at else None


class Standing(BaseModel):
    """What the ledger says of a watched environment. `last_failover_at`: when one ended last that touched the pair.

    `busy_with` is a run that changes the pair, `held_by` one that holds the environment and has not come to the pair.
    """

    model_config = ConfigDict(frozen=True)

    recovery: Recovery
    hold: Hold | None = None
    busy_with: str | None = None
    held_by: str | None = None
    last_failover_at: datetime | None = None

    @property
    def detection(self) -> timedelta:
        """How long nobody may have reached the primary."""
        return timedelta(seconds=self.recovery.failover_detection_seconds)

    def cooldown_until(self) -> datetime | None:
        """When a failover may start by itself again; None where there was none."""
        return end_cooldown(self.recovery, self.last_failover_at)


def has_come_to_pair(steps: Iterable[str]) -> bool:
    """A run with these steps may have changed the pair: then what it does is no outage, and all is counted anew."""
    return not BEFORE_THE_PAIR.issuperset(steps)


class Verdict(BaseModel):
    """What is to be done, and why, in words for the log and the ledger. `outage` is the same for one and the same.

    `loss_seconds` of a lost primary: the writes that may be lost, at most; None where commits wait for the standby.
    """

    model_config = ConfigDict(frozen=True)

    state: WatchState
    told: str
    outage: str = ""
    loss_seconds: float | None = None


def decide_watch(watched: Watched, standing: Standing, attempted: str, now: datetime) -> Verdict:
    """What a watcher does now. `attempted` is the outage that it has started a failover for, if any."""
    if standing.busy_with:
        return Verdict(state=WatchState.BUSY, told=f"{standing.busy_with} changes it")
    if watched.primary is None:
        return _describe_unknown(watched, standing, now)
    sights = [watched.sight(vantage) for vantage in VANTAGES]
    gone = [sight.is_gone(now, standing.detection) for sight in sights]
    if not any(gone):
        return _describe_present(watched)
    if not all(gone):
        return _describe_divided(watched, standing, now)
    if not _has_spoken(watched) and not _is_overdue(watched, standing, now):
        return Verdict(state=WatchState.MISSED, told=f"{_tell_sights(watched, now)}; the standby is asked")
    outage = name_outage(watched)
    reasons = list(_list_obstacles(watched, standing, now))
    if outage and outage == attempted:
        reasons.insert(0, "one failover was started for this outage, and there is no second")
    told = _tell_sights(watched, now)
    if reasons:
        return Verdict(state=WatchState.BLOCKED, told=f"{told}; no failover starts: {'; '.join(reasons)}")
    told = f"{told}; {_tell_loss(watched, standing, now)}"
    loss_seconds = None if watched.primary.is_synchronous else count_loss_seconds(watched, now)
    return Verdict(state=WatchState.LOST, told=told, outage=outage, loss_seconds=loss_seconds)


def _lost_since(watched: Watched) -> datetime | None:
    """Since when nobody sees the primary; None where somebody does."""
    since = [watched.sight(vantage).gone_since for vantage in VANTAGES]
    return None if None in since else max(filter(None, since))


def _has_spoken(watched: Watched) -> bool:
    """The standby has answered since the primary is lost: one that died with it is nothing to promote."""
    since = _lost_since(watched)
    return watched.standby is not None and since is not None and watched.standby.at >= since


def _is_overdue(watched: Watched, standing: Standing, now: datetime) -> bool:
    since = _lost_since(watched)
    return since is not None and now - since > standing.detection + timedelta(seconds=STANDBY_SECONDS)


def name_outage(watched: Watched) -> str:
    """A UUID that is the same for the same outage of the same primary; empty where the clients never saw it.

    It begins where the clients saw it last, and ends where they see it again. The standby's sight names none: when it
    heard of its primary is reckoned from the standby's clock, anew with each sample, and differs by milliseconds.
    """
    seen_at = watched.clients_sight.seen_at
    if watched.primary is None or seen_at is None:
        return ""
    known = f"{watched.primary.node} {watched.primary.timeline} {seen_at.isoformat()}"
    return str(UUID(bytes=hashlib.sha256(known.encode()).digest()[:16], version=4))


def count_loss_seconds(watched: Watched, now: datetime) -> float | None:
    """Seconds of writes that the primary alone can have, at most; None where nobody knows.

    A primary that is cut off may take writes until it is fenced, so it is counted to now and not to the last look.
    """
    if watched.primary and watched.primary.is_synchronous:
        return 0.0
    return (now - watched.whole_at).total_seconds() if watched.whole_at else None


def _describe_unknown(watched: Watched, standing: Standing, now: datetime) -> Verdict:
    """Which server the standby would look for is not known either: only the clients' sight counts."""
    if not watched.clients_sight.is_gone(now, standing.detection):
        return Verdict(state=WatchState.UNKNOWN, told="the primary was not seen yet")
    told = "no primary is behind the name; no failover starts: this watcher has never seen it, nor what would be lost"
    return Verdict(state=WatchState.BLOCKED, told=told)


def _describe_present(watched: Watched) -> Verdict:
    if any(watched.sight(vantage).gone_since for vantage in VANTAGES):
        return Verdict(state=WatchState.MISSED, told="the primary did not answer, not for long enough yet")
    return Verdict(state=WatchState.SEEN, told="the primary answers")


def _describe_divided(watched: Watched, standing: Standing, now: datetime) -> Verdict:
    """Somebody still saw it within the detection time: an alarm only where that one sees it now."""
    seeing = [vantage for vantage in VANTAGES if watched.sight(vantage).gone_since is None]
    if not seeing:
        return Verdict(state=WatchState.MISSED, told=_tell_sights(watched, now))
    (missing,) = [vantage for vantage in VANTAGES if vantage not in seeing]
    told = f"the vantage points disagree: {_tell_sights(watched, now)}; no failover starts, mend the way of {missing}"
    return Verdict(state=WatchState.DIVIDED, told=told)


def _list_obstacles(watched: Watched, standing: Standing, now: datetime) -> Iterator[str]:
    if watched.clients_sight.seen_at is None:
        yield "the clients have never seen it"
    if watched.standby is None or not _has_spoken(watched):
        yield "the standby has not answered since"
    elif watched.primary and watched.standby.timeline != watched.primary.timeline:
        known = watched.standby.timeline or "an unknown one"
        yield f"the standby is on timeline {known}, the primary on {watched.primary.timeline}"
    if watched.primary:
        yield from _check_loss(watched, standing, now)
    if standing.held_by:
        yield f"{standing.held_by} has the environment, and has not come to the pair"
    if standing.hold and standing.hold.is_in_force(now):
        yield f"{standing.hold.holder} holds it: {standing.hold.reason}"
    until = standing.cooldown_until()
    if until and now < until:
        yield f"the cooldown after the last failover lasts until {until:%Y-%m-%d %H:%M} UTC"


def _check_loss(watched: Watched, standing: Standing, now: datetime) -> Iterator[str]:
    seconds, allowed = count_loss_seconds(watched, now), standing.recovery.rpo_minutes * 60
    if seconds is None:
        yield "the standby was never seen to have all that the primary had"
    elif seconds > allowed:
        yield f"up to {seconds:.0f} s of writes may be lost, and recovery.rpo allows {allowed} s"


def _tell_loss(watched: Watched, standing: Standing, now: datetime) -> str:
    seconds = count_loss_seconds(watched, now)
    if not seconds:
        return "nothing is lost: commits wait for the standby"
    return f"at most {seconds:.1f} s of writes may be lost, recovery.rpo allows {standing.recovery.rpo_minutes * 60} s"


def _tell_sights(watched: Watched, now: datetime) -> str:
    return ", ".join(f"{vantage} {_tell_since(watched.sight(vantage).gone_since, now)}" for vantage in VANTAGES)


def _tell_since(gone_since: datetime | None, now: datetime) -> str:
    return f"without an answer for {(now - gone_since).total_seconds():.1f} s" if gone_since else "sees the primary"
