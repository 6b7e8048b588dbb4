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


class MaintenanceWindow(Declared):
    """A recurring time in which changes are welcome."""

    schedule: Annotated[str, AfterValidator(check_schedule)] = Field(
        description='five cron fields that say when the window opens, such as "0 3 * * SUN"'
    )
    duration_minutes: Minutes = Field(alias="duration", description="how long the window stays open, such as 2h")
    timezone: Annotated[str, AfterValidator(check_timezone)] = Field(
        description="the IANA time zone of the schedule, such as Europe/Berlin"
    )
