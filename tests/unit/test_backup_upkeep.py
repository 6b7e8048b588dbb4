"""Which backups are kept, and when somebody is told."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.backup import VerdictStatus
from domain.backup_upkeep import KnownBackup, PastRestore, Retention, compute_trend, decide_expired, list_alarms

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PASSED, FAILED, INCOMPLETE = VerdictStatus.PASSED, VerdictStatus.FAILED, VerdictStatus.INCOMPLETE


def take(age: timedelta, status: VerdictStatus | None = None) -> KnownBackup:
    """A backup of so long ago, named by its hours."""
    return KnownBackup(id=f"{age / HOUR:g}", taken_at=NOW - age, status=status)


def restore(age: timedelta, seconds: float | None, status: VerdictStatus = PASSED) -> PastRestore:
    """A restore test of so long ago."""
    return PastRestore(at=NOW - age, status=status, restore_seconds=seconds)


def test_one_a_day_is_kept() -> None:
    """The newest of each of the last days; the others of a day go, oldest first."""
    backups = [take(HOUR * hours) for hours in range(0, 96, 6)]
    gone = decide_expired(backups, Retention(days=2, weeks=0, months=0))
    assert [one.id for one in backups if one.id not in gone] == ["0", "18"]
    assert gone == sorted(gone, key=float, reverse=True)


def test_weeks_and_months_reach_further_back() -> None:
    """A backup that is the newest of its month stays though its day is long over."""
    backups = [take(DAY * days) for days in range(0, 120, 5)]
    gone = decide_expired(backups, Retention(days=1, weeks=2, months=3))
    assert len(backups) - len(gone) == 4
    assert take(DAY * 25).id in {one.id for one in backups} - set(gone)


@pytest.mark.parametrize("ages", [[400], [400, 500]])
def test_the_newest_and_the_newest_proved_are_never_let_go(ages: list[int]) -> None:
    """However old they are, and however little is to be kept."""
    few = Retention(days=1, weeks=0, months=0)
    backups = [take(DAY * age, FAILED) for age in ages]
    proved = take(DAY * 900, PASSED)
    older = take(DAY * 950, PASSED)
    gone = decide_expired([*backups, proved, older], few)
    assert backups[0].id not in gone
    assert proved.id not in gone
    assert older.id in gone


def test_what_was_decided_once_is_decided() -> None:
    """Of those that are left none may go."""
    backups = [take(HOUR * hours) for hours in range(0, 3000, 7)]
    gone = set(decide_expired(backups, Retention()))
    assert decide_expired([one for one in backups if one.id not in gone], Retention()) == []


def test_a_trend_compares_the_newest_with_those_before() -> None:
    """Medians, so that one slow night is no trend; what was not restored has no time."""
    restores = [restore(DAY * days, 10) for days in range(4, 9)] + [restore(DAY * 2, None, INCOMPLETE)]
    assert compute_trend([*restores, restore(DAY, 90)]).is_growing is False
    slow = [restore(DAY * days, 20) for days in (1, 2, 3)]
    assert compute_trend([*restores, *slow]).is_growing is True
    assert compute_trend([]).is_growing is False


def _kinds(restores: list[PastRestore], proved_at: datetime | None, rto: timedelta = HOUR) -> list[str]:
    return [alarm.kind for alarm in list_alarms("dev", restores, proved_at, NOW, DAY, rto)]


def test_nothing_is_told_where_all_is_well() -> None:
    """A proved backup of this morning that restores quickly."""
    assert _kinds([restore(HOUR, 10)], NOW - HOUR) == []


@pytest.mark.parametrize("status", [FAILED, INCOMPLETE])
def test_a_restore_test_that_did_not_pass_is_told(status: VerdictStatus) -> None:
    """Also where an older one did."""
    assert _kinds([restore(HOUR * 2, 10), restore(HOUR, 10, status)], NOW - HOUR) == ["failed"]


@pytest.mark.parametrize("proved_at", [None, NOW - DAY - HOUR])
def test_a_backup_that_is_overdue_is_told(proved_at: datetime | None) -> None:
    """By the age of what was backed up, not of the test."""
    assert _kinds([restore(HOUR, 10)], proved_at) == ["overdue"]


def test_restores_that_grow_towards_the_rto_are_told() -> None:
    """Before they reach it, where they grow; in any case beyond it."""
    before, now = [restore(DAY * days, 1000) for days in (5, 6, 7)], [restore(HOUR * n, 2000) for n in (1, 2, 3)]
    assert _kinds([*before, *now], NOW - HOUR) == ["slow"]
    assert _kinds(now, NOW - HOUR) == []
    assert _kinds([restore(HOUR, 4000)], NOW - HOUR) == ["slow"]
