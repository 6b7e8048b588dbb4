"""Which backups are kept, how long restores take, and when somebody is to be told: decisions over what is on record.

Invariant: the newest backup, and the newest one that was proved, are never let go, however old they are.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.backup import VerdictStatus

#: So many of the newest restores are the present, and the ones before them the past.
PRESENT = 3
#: A restore that takes this share of the RTO is worth a word before it takes all of it.
RTO_SHARE = 0.5
#: Growth that is worth a word: the present against the past.
GROWTH = 1.5


class Retention(BaseModel):
    """How many backups are kept: the newest of each of the last days, weeks (ISO) and months that have one, in UTC."""

    model_config = ConfigDict(frozen=True)

    days: int = Field(7, ge=1, le=366)
    weeks: int = Field(4, ge=0, le=104)
    months: int = Field(3, ge=0, le=120)


Kind = Literal["logical", "physical", "rds-snapshot", "bucket"]


class KnownBackup(BaseModel):
    """A backup on record, with what its newest restore test said; None where there was none."""

    model_config = ConfigDict(frozen=True)

    id: str
    taken_at: datetime
    kind: Kind = "logical"
    status: VerdictStatus | None = None
    verified_at: datetime | None = None


class PastRestore(BaseModel):
    """A restore test: when, how it ended, and how long the restore took."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    status: VerdictStatus
    restore_seconds: float | None


class Trend(BaseModel):
    """How long restores take now and took before, as medians in seconds; None where too few are known."""

    model_config = ConfigDict(frozen=True)

    now_seconds: float | None
    before_seconds: float | None

    @property
    def is_growing(self) -> bool:
        """Whether restores take clearly longer than they did."""
        return bool(self.now_seconds and self.before_seconds and self.now_seconds > GROWTH * self.before_seconds)


class Alarm(BaseModel):
    """Something that a person has to know, and what to do about it."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["failed", "overdue", "slow"]
    summary: str
    resolution: str


def decide_expired(backups: Sequence[KnownBackup], retention: Retention) -> list[str]:
    """The ids of the backups that may go, oldest first."""
    newest_first = sorted(backups, key=lambda one: one.taken_at, reverse=True)
    kept: set[str] = set()
    for periods, words in ((retention.days, "%Y-%m-%d"), (retention.weeks, "%G-%V"), (retention.months, "%Y-%m")):
        of_period: dict[str, str] = {}
        for one in newest_first:
            of_period.setdefault(one.taken_at.strftime(words), one.id)
        kept |= set(list(of_period.values())[:periods])
    proved = [one.id for one in newest_first if one.status == VerdictStatus.PASSED]
    kept |= {one.id for one in newest_first[:1]} | set(proved[:1])
    return [one.id for one in reversed(newest_first) if one.id not in kept]


def compute_trend(restores: Sequence[PastRestore]) -> Trend:
    """The newest restores against those before them."""
    ordered = sorted(restores, key=lambda one: one.at)
    seconds = [one.restore_seconds for one in ordered if one.restore_seconds is not None]
    now, before = seconds[-PRESENT:], seconds[:-PRESENT]
    return Trend(now_seconds=median(now) if now else None, before_seconds=median(before) if before else None)


def list_alarms(
    environment: str,
    restores: Sequence[PastRestore],
    proved_at: datetime | None,
    now: datetime,
    max_age: timedelta,
    rto: timedelta,
) -> list[Alarm]:
    """What is wrong with an environment's backups; `proved_at` is when the newest proved one was taken."""
    found = [
        _tell_failed(environment, max(restores, key=lambda one: one.at, default=None)),
        _tell_overdue(environment, proved_at, now, max_age),
        _tell_slow(environment, compute_trend(restores), rto.total_seconds()),
    ]
    return [alarm for alarm in found if alarm]


def _tell_failed(environment: str, newest: PastRestore | None) -> Alarm | None:
    if newest is None or newest.status == VerdictStatus.PASSED:
        return None
    return Alarm(
        kind="failed",
        summary=f"{environment}: the newest restore test is {newest.status}.",
        resolution="Its verdict names the fault; take a new backup once that is mended.",
    )


def _tell_overdue(environment: str, proved_at: datetime | None, now: datetime, max_age: timedelta) -> Alarm | None:
    if proved_at is not None and now - proved_at <= max_age:
        return None
    since = f"since {proved_at:%Y-%m-%d %H:%M} UTC" if proved_at else "at all"
    return Alarm(
        kind="overdue",
        summary=f"{environment}: no backup was proved {since}, promised are {max_age.total_seconds() / 3600:g} hours.",
        resolution="Take one and verify it; then see why the schedule did not.",
    )


def _tell_slow(environment: str, trend: Trend, rto_seconds: float) -> Alarm | None:
    now = trend.now_seconds or 0
    if now <= rto_seconds and not (trend.is_growing and now > RTO_SHARE * rto_seconds):
        return None
    return Alarm(
        kind="slow",
        summary=f"{environment}: a restore takes {now:.0f} s, the RTO is {rto_seconds:.0f} s.",
        resolution="Shrink what has to be restored, restore to a faster machine, or promise a longer RTO.",
    )
