"""When backups are due by an environment's own schedule."""

from datetime import UTC, datetime, timedelta

from domain.backup_schedule import Scheduled, list_due

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def describe(**changes: object) -> Scheduled:
    """An environment that is backed up at three in Berlin, and was yesterday."""
    own = {"environment": "dev", "schedule": "0 3 * * *", "timezone": "Europe/Berlin", "ready_at": NOON - 100 * HOUR}
    own |= {"newest_id": "b1", "newest_at": NOON - 33 * HOUR, "has_verdict": True}
    return Scheduled.model_validate(own | changes)


def test_a_backup_is_due_once_its_time_has_come() -> None:
    """By the clock of its timezone: three in Berlin is two in UTC."""
    due = NOON.replace(hour=2)
    assert list_due([describe()], due - timedelta(seconds=1)) == []
    (found,) = list_due([describe()], due)
    assert (found.action, found.about) == ("backup", "20261124T020000Z")


def test_what_was_taken_since_is_not_due() -> None:
    """Nor what would have been due before the environment was ready."""
    assert list_due([describe(newest_at=NOON - 9 * HOUR)], NOON) == []
    assert list_due([describe(newest_id=None, newest_at=None, ready_at=NOON - HOUR)], NOON) == []
    assert len(list_due([describe(newest_id=None, newest_at=None)], NOON)) == 1


def test_what_was_taken_is_verified() -> None:
    """Once, and not while another backup is due."""
    taken = describe(newest_at=NOON - 9 * HOUR, has_verdict=False)
    (found,) = list_due([taken], NOON)
    assert (found.action, found.about) == ("verify", "b1")
    assert list_due([describe(has_verdict=False)], NOON)[0].action == "backup"


def test_what_is_started_is_not_started_again_for_an_hour() -> None:
    """The key of what is due stays the same meanwhile."""
    keys = [list_due([describe()], NOON.replace(hour=2) + timedelta(minutes=m))[0].key for m in (0, 30, 59, 60, 119)]
    assert keys[0] == keys[1] == keys[2] != keys[3] == keys[4]
