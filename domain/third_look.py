"""The last word on a failover that nobody asked for: the run's own, whatever was decided before it began.

Invariant: a run that begins late is judged by what may be lost by now, never by what was when it was started.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from domain.errors import RefusedError
from domain.hold import Hold
from domain.pair import Node
from domain.spec_parts import Recovery
from domain.watch import end_cooldown

#: After so long nobody knows whether the primary was back meanwhile: the run waited for a worker or for a lease.
LATE_SECONDS = 60.0

#: A person's failover that died is finished by the sweeper for so long: then nobody knows whether it is still wanted.
WANTED_SECONDS = 300.0

Refusal = tuple[str, str]


class Grounds(BaseModel):
    """What a watcher decided on, and when, by the wall clock. `loss_seconds`: the writes that could be lost then, at
    most; None where commits wait for the standby."""

    model_config = ConfigDict(frozen=True)

    decided_at: datetime
    loss_seconds: float | None

    def age(self, now: datetime) -> timedelta:
        """How old it is."""
        return max(now - self.decided_at, timedelta(0))

    def count_loss_seconds(self, now: datetime) -> float:
        """Seconds of writes that may be lost by now, at most."""
        return 0.0 if self.loss_seconds is None else self.loss_seconds + self.age(now).total_seconds()


class LateLook(BaseModel):
    """What the sweeper sees of a failover that a person asked for, and that died before its first step."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    begun_at: datetime
    answering: tuple[Node, ...]
    standby: Node | None


def refuse_to_finish(environment: str, late: LateLook) -> None:
    """RefusedError where it may not be wanted any more, or where the primary answers and may be coming back."""
    age = (late.at - late.begun_at).total_seconds()
    if age > WANTED_SECONDS:
        raise RefusedError(
            f"{environment}: this failover began {age:.0f} s ago and died, limit {WANTED_SECONDS:.0f} s: nobody knows "
            "whether it is still wanted.",
            f"See whether the primary is lost; then `terrarium failover {environment} --reason …`.",
        )
    if not _is_standby_alone(late):
        raise RefusedError(
            f"{environment}: its primary may be coming back. Servers that answer: {_name_answering(late)}; standby: "
            f"{late.standby or 'none'}.",
            f"See both servers' logs; then `terrarium failover {environment} --reason …`.",
        )


class ThirdLook(BaseModel):
    """What a failover that nobody asked for sees itself: which servers answer it directly, and what the ledger says.

    `spoken` are those that said in a session that they are the primary, however slowly. `last_failover_at`: when one
    ended last that touched the pair.
    """

    model_config = ConfigDict(frozen=True)

    at: datetime
    grounds: Grounds
    answering: tuple[Node, ...]
    spoken: tuple[str, ...] = ()
    standby: Node | None
    hold: Hold | None
    last_failover_at: datetime | None = None


def refuse_unless_lost(environment: str, recovery: Recovery, third: ThirdLook | None) -> None:
    """RefusedError for a failover that nobody asked for where a third look finds no reason; None: a person asked."""
    if third is None:
        return
    by_hand = f"`terrarium failover {environment} --reason …`"
    for rules in (_check_ledger, _check_time, _check_servers):
        for summary, resolution in rules(environment, recovery, third, by_hand):
            raise RefusedError(summary, resolution)


def _check_ledger(environment: str, recovery: Recovery, third: ThirdLook, by_hand: str) -> Iterator[Refusal]:
    if recovery.failover != "automatic":
        yield f"{environment}: recovery.failover is ask, so no failover starts by itself.", f"{by_hand} is a person's."
    if third.hold and third.hold.is_in_force(third.at):
        yield (
            f"{environment}: no failover starts by itself while {third.hold.holder} holds it: {third.hold.reason}",
            f"`terrarium unhold {environment}`, or {by_hand}, which no hold stops.",
        )
    until = end_cooldown(recovery, third.last_failover_at)
    if until and third.at < until:
        yield (
            f"{environment}: the cooldown after the last failover lasts until {until:%Y-%m-%d %H:%M} UTC.",
            f"{by_hand} does not wait for it.",
        )


def _check_time(environment: str, recovery: Recovery, third: ThirdLook, by_hand: str) -> Iterator[Refusal]:
    age = third.grounds.age(third.at).total_seconds()
    if age > LATE_SECONDS:
        yield (
            f"{environment}: this failover was decided {age:.0f} s ago, limit {LATE_SECONDS:.0f} s: the primary may "
            "have been back since.",
            f"See why its run began so late, and whether the primary is lost now; then {by_hand}.",
        )
    loss_seconds, allowed = third.grounds.count_loss_seconds(third.at), recovery.rpo_minutes * 60
    if loss_seconds > allowed:
        yield (
            f"{environment}: by now up to {loss_seconds:.0f} s of writes may be lost, and recovery.rpo allows "
            f"{allowed} s.",
            f"If that is worth it: {by_hand} and `--accept-loss`.",
        )


def _check_servers(environment: str, _recovery: Recovery, third: ThirdLook, _by_hand: str) -> Iterator[Refusal]:
    if third.spoken:
        yield (
            f"{environment}: its primary {' and '.join(third.spoken)} has answered this run in a session, so it is not "
            "lost.",
            "See what is between the vantage points and the primary, or why it is so slow.",
        )
    if not _is_standby_alone(third):
        yield (
            f"{environment}: seen from a third place its primary is not lost. Servers that answer: "
            f"{_name_answering(third)}; standby: {third.standby or 'none'}.",
            "See what is between the vantage points and the primary; the runbook of drills has a line for each alarm.",
        )


def _is_standby_alone(look: ThirdLook | LateLook) -> bool:
    return look.standby is not None and look.answering == (look.standby,)


def _name_answering(look: ThirdLook | LateLook) -> str:
    return " and ".join(look.answering) or "none"
