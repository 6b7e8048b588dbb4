"""When an environment's backups are due by its own schedule: one is taken, and what was taken is verified."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim
from pydantic import BaseModel, ConfigDict

#: What was asked for and did not come to its end is asked for again after this.
TRY_AGAIN_AFTER = timedelta(hours=1)


class Scheduled(BaseModel):
    """A living environment with a schedule, and what it has: its newest backup and whether that has a verdict."""

    model_config = ConfigDict(frozen=True)

    environment: str
    schedule: str
    timezone: str
    ready_at: datetime
    newest_id: str | None = None
    newest_at: datetime | None = None
    has_verdict: bool = False


class DueBackup(BaseModel):
    """Something to be started; equal ones are one thing, so that it is started once an hour at most."""

    model_config = ConfigDict(frozen=True)

    environment: str
    action: Literal["backup", "verify"]
    about: str
    attempt: int

    @property
    def key(self) -> str:
        """What is due, as text."""
        return f"{self.action}:{self.environment}:{self.about}:{self.attempt}"


def list_due(scheduled: Iterable[Scheduled], now: datetime) -> list[DueBackup]:
    """For each environment the backup of its last due time, or the verdict over the one that it has."""
    return [due for one in scheduled for due in _find_due(one, now)]


def _find_due(one: Scheduled, now: datetime) -> Iterator[DueBackup]:
    last = _find_last(one, now)
    if last > max(one.newest_at or one.ready_at, one.ready_at):
        yield _describe(one, "backup", f"{last:%Y%m%dT%H%M%SZ}", last, now)
    elif one.newest_id and one.newest_at and not one.has_verdict:
        yield _describe(one, "verify", one.newest_id, one.newest_at, now)


def _find_last(one: Scheduled, now: datetime) -> datetime:
    """When the schedule was last due, by the clock of its timezone, in UTC."""
    zone = ZoneInfo(one.timezone)
    last: datetime = next(CronSim(one.schedule, (now + timedelta(seconds=1)).astimezone(zone), reverse=True))
    return last.astimezone(now.tzinfo)


def _describe(
    one: Scheduled, action: Literal["backup", "verify"], about: str, since: datetime, now: datetime
) -> DueBackup:
    attempt = int((now - since) / TRY_AGAIN_AFTER)
    return DueBackup(environment=one.environment, action=action, about=about, attempt=attempt)
