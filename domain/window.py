"""Maintenance windows: when a schedule opens, for how long, and in whose time zone."""

import datetime
import zoneinfo
from typing import Annotated

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field

from domain.declared import Declared, refuse_value
from domain.quantity import Minutes


def check_schedule(schedule: str) -> str:
    """The schedule itself where it is five cron fields that come true some day. Raises BrokenRulesError."""
    try:
        next(CronSim(schedule, datetime.datetime(2000, 1, 1)))
        is_valid = len(schedule.split()) == 5
    except (CronSimError, StopIteration):
        is_valid = False
    if not is_valid:
        refuse_value(schedule, 'five cron fields (minute hour day month weekday), such as "0 3 * * SUN"')
    return schedule


def check_timezone(timezone: str) -> str:
    """The time zone itself where the IANA database has it. Raises BrokenRulesError."""
    try:
        zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        words = tuple(sorted(zoneinfo.available_timezones()))
        refuse_value(timezone, "an IANA time zone, such as Europe/Berlin or UTC", words)
    return timezone


Schedule = Annotated[str, AfterValidator(check_schedule)]
Timezone = Annotated[str, AfterValidator(check_timezone)]


class MaintenanceWindow(Declared):
    """A recurring time in which changes are welcome."""

    schedule: Schedule = Field(description='five cron fields that say when the window opens, such as "0 3 * * SUN"')
    duration_minutes: Minutes = Field(alias="duration", description="how long the window stays open, such as 2h")
    timezone: Timezone = Field(description="the IANA time zone of the schedule, such as Europe/Berlin")

    def is_open(self, now: datetime.datetime) -> bool:
        """Whether the window that opened last is still open."""
        opened_at = find_last(self.schedule, self.timezone, now)
        return opened_at is not None and now < opened_at + datetime.timedelta(minutes=self.duration_minutes)


def find_last(schedule: str, timezone: str, now: datetime.datetime) -> datetime.datetime | None:
    """When a schedule came true last, in UTC; None where it never did."""
    local = now.astimezone(zoneinfo.ZoneInfo(timezone))
    past = CronSim(schedule, local + datetime.timedelta(seconds=1), reverse=True)
    found = next(past, None)
    return found.astimezone(datetime.UTC) if found else None


def find_next(schedule: str, timezone: str, now: datetime.datetime) -> datetime.datetime:
    """When a schedule comes true next, in UTC."""
    local = now.astimezone(zoneinfo.ZoneInfo(timezone))
    return next(CronSim(schedule, local)).astimezone(datetime.UTC)


def is_any_open(windows: tuple[MaintenanceWindow, ...], now: datetime.datetime) -> bool:
    """Whether changes are welcome now; with no window, always."""
    return not windows or any(window.is_open(now) for window in windows)
