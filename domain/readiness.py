"""Whether an environment's recovery plan would work now: looked at in advance, nothing is touched.

A finding that blocks refuses a drill; the same finding, half an hour before the disaster, is an alarm.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.finding import Finding
from domain.rds_recovery import RdsRecovery, check_rds
from domain.spec import EnvironmentSpec
from domain.window import find_last, find_next, is_any_open

#: A drill is overdue when its schedule came true so long ago and no drill has ended well since.
OVERDUE_AFTER = timedelta(hours=1)
#: A standby that has applied nothing newer than this is stale. The link's delay is added to it.
STALE_SECONDS = 5.0
#: After a failover both sides keep writing WAL that the other has not got yet.
FREE_SHARE = 0.1


class Side(BaseModel):
    """One server of the pair, as it answered. `role` is None where it did not."""

    model_config = ConfigDict(frozen=True)

    name: str
    region: str
    role: Literal["primary", "standby"] | None = None
    timeline: int | None = None
    free_bytes: int | None = None
    data_bytes: int | None = None
    fault: str = ""


class Recoverability(BaseModel):
    """What was read of an environment's means of recovery.

    `lag_seconds` is the age of the newest write that the standby has applied, None where nobody knows; `has_login`
    says that the probe's credentials were taken; `last_verdict` is the status of the newest verified backup.
    """

    model_config = ConfigDict(frozen=True)

    rds: RdsRecovery | None = None  # in place of the sides, where the database is RDS's
    sides: tuple[Side, ...] = ()
    is_streaming: bool = False
    is_synchronous: bool = False
    lag_bytes: int | None = None
    lag_seconds: float | None = None
    link_delay_seconds: float = 0.0
    has_login: bool = True
    gateway_target: str | None = None
    last_verdict: str | None = None
    last_verdict_at: datetime | None = None
    last_drill_at: datetime | None = None
    has_last_drill_failed: bool = False
    ready_since: datetime | None = None

    def find(self, role: str) -> Side | None:
        """The only side with that role; None where there is none, or more than one."""
        found = [side for side in self.sides if side.role == role]
        return found[0] if len(found) == 1 else None


def decide_readiness(spec: EnvironmentSpec, observed: Recoverability, now: datetime) -> list[Finding]:
    """Everything that would keep the recovery plan from working at this moment, and what is overdue."""
    if observed.rds:
        return [
            *check_rds(spec, observed.rds),
            *_check_schedule(spec, now),
            *_check_backup(spec, observed, now),
            *_check_rehearsal(spec, observed, now),
        ]
    if not observed.sides:
        return [_no_pair(spec)]
    return [
        *_check_sides(spec, observed),
        *_check_replication(spec, observed),
        *_check_means(spec, observed),
        *_check_schedule(spec, now),
        *_check_backup(spec, observed, now),
        *_check_rehearsal(spec, observed, now),
    ]


def _no_pair(spec: EnvironmentSpec) -> Finding:
    return Finding(
        summary="there is no pair of database servers",
        detail=f"{spec.name} has no `data.database.provider: postgres`, or its pair is not made.",
        resolution=f"Set the provider and apply: `terrarium env apply {spec.name}`.",
    )


def _check_sides(spec: EnvironmentSpec, observed: Recoverability) -> Iterator[Finding]:
    silent = [side for side in observed.sides if side.role is None]
    for side in silent:
        yield Finding(
            summary=f"server {side.name} in {side.region} does not answer",
            detail=side.fault or "It was asked for its role and did not answer.",
            resolution=f"See its log; `terrarium env apply {spec.name}` starts what is stopped.",
        )
    primaries = [side.name for side in observed.sides if side.role == "primary"]
    if not silent and len(primaries) != 1:
        yield Finding(
            summary=f"there are {len(primaries)} primaries instead of one",
            detail=f"Writable are: {', '.join(primaries) or 'none'}.",
            resolution=f"`terrarium failover {spec.name} --reason …` leaves exactly one.",
        )
    primary = observed.find("primary")
    if primary and observed.gateway_target not in (None, primary.name):
        yield Finding(
            summary=f"the database's name leads to {observed.gateway_target}, the primary is {primary.name}",
            detail="Clients reach a server that takes no writes.",
            resolution=f"`terrarium env apply {spec.name}` leads it to the primary.",
        )


def _check_replication(spec: EnvironmentSpec, observed: Recoverability) -> Iterator[Finding]:
    if observed.find("primary") is None or observed.find("standby") is None:
        return
    if not observed.is_streaming:
        yield Finding(
            summary="the standby does not stream from the primary",
            detail="What is written now is on one side only.",
            resolution=f"`terrarium env apply {spec.name}` joins it again; see the standby's log for the cause.",
        )
        return
    limit = min(STALE_SECONDS, spec.recovery.rpo_minutes * 60) + 2 * observed.link_delay_seconds
    if observed.lag_seconds is None or observed.lag_seconds > limit:
        lag = "for an unknown time" if observed.lag_seconds is None else f"by {observed.lag_seconds:.1f} s"
        yield Finding(
            summary=f"the standby lags {lag}, limit {limit:.1f} s",
            detail="A failover now would lose what it has not got.",
            resolution="Wait until it has caught up, or see what holds it back (the link, its disk, a long query).",
        )


def _check_means(spec: EnvironmentSpec, observed: Recoverability) -> Iterator[Finding]:
    if not observed.has_login:
        yield Finding(
            summary="the probe's credentials are not taken",
            detail="Without a client outside nobody could say how long the outage was.",
            resolution=f"`terrarium env apply {spec.name}` gives the roles their passwords again.",
        )
    for side in observed.sides:
        if side.free_bytes is not None and side.free_bytes < FREE_SHARE * (side.data_bytes or 0):
            yield Finding(
                summary=f"server {side.name} has {side.free_bytes // 2**20} MiB free",
                detail=f"It holds {(side.data_bytes or 0) // 2**20} MiB, and WAL is kept while the other side is away.",
                resolution="Free space on its disk.",
            )


def check_window(spec: EnvironmentSpec, now: datetime) -> Iterator[Finding]:
    """What refuses a drill now, and is no alarm: it is outside the maintenance windows."""
    if not is_any_open(spec.maintenance_windows, now):
        yield Finding(
            summary="it is outside the maintenance windows",
            detail=f"They are: {_tell_windows(spec)}. A real failover does not wait for one.",
            resolution="Drill within a window.",
        )


def _tell_windows(spec: EnvironmentSpec) -> str:
    return "; ".join(
        f"{one.schedule} for {one.duration_minutes} min, {one.timezone}" for one in spec.maintenance_windows
    )


def _check_schedule(spec: EnvironmentSpec, now: datetime) -> Iterator[Finding]:
    drill = spec.recovery.drill
    next_at = find_next(drill.schedule, drill.timezone, now) if drill else None
    if next_at and not is_any_open(spec.maintenance_windows, next_at):
        yield Finding(
            summary="the next scheduled drill is outside the maintenance windows",
            detail=f"It is due at {next_at:%Y-%m-%d %H:%M} UTC; the windows are: {_tell_windows(spec)}.",
            resolution="Move recovery.drill.schedule into a window, or it will be refused.",
            is_blocking=False,
        )


def _check_backup(spec: EnvironmentSpec, observed: Recoverability, now: datetime) -> Iterator[Finding]:
    hours = spec.recovery.backup_max_age_hours
    if observed.last_verdict is None or observed.last_verdict_at is None:
        detail = "No backup of this environment was ever restored for a test."
    elif observed.last_verdict != "passed":
        detail = f"The newest restore test, at {observed.last_verdict_at:%Y-%m-%d %H:%M} UTC, {observed.last_verdict}."
    elif now - observed.last_verdict_at > timedelta(hours=hours):
        detail = f"The newest passed at {observed.last_verdict_at:%Y-%m-%d %H:%M} UTC; the limit is {hours} hours."
    else:
        return
    yield Finding(
        summary="there is no proved backup to fall back on",
        detail=detail,
        resolution=f"`terrarium backup take {spec.name}`, then `terrarium backup verify {spec.name}`.",
        is_blocking=False,
    )


def _check_rehearsal(spec: EnvironmentSpec, observed: Recoverability, now: datetime) -> Iterator[Finding]:
    if observed.has_last_drill_failed:
        yield Finding(
            summary="the last drill failed",
            detail=f"It ended at {observed.last_drill_at:%Y-%m-%d %H:%M} UTC."
            if observed.last_drill_at
            else "Its end is not on record.",
            resolution=f"`terrarium drill list --environment {spec.name}` shows what to mend.",
            is_blocking=False,
        )
    drill = spec.recovery.drill
    due_at = find_last(drill.schedule, drill.timezone, now - OVERDUE_AFTER) if drill else None
    since = max(filter(None, (observed.last_drill_at, observed.ready_since)), default=None)
    if due_at and (since is None or since < due_at):
        yield Finding(
            summary="the drill is overdue",
            detail=f"It was due at {due_at:%Y-%m-%d %H:%M} UTC.",
            resolution=f"`terrarium drill run {spec.name} --mode graceful`, and see whether the schedule is paused.",
            is_blocking=False,
        )
