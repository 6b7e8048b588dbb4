"""A recovery plan that would not work today says so today."""

from datetime import timedelta
from typing import Any

import pytest

from domain.finding import Finding
from domain.readiness import Recoverability, Side, decide_readiness
from tests.unit.test_drill import NOW, PAIR, make_spec

RECOVERY = {"rto": "8h", "rpo": "1d", "backup_max_age": "2d"}
EVERY_WEDNESDAY = RECOVERY | {"drill": {"schedule": "0 4 * * WED", "timezone": "Europe/Berlin"}}


def look(observed: Recoverability = PAIR, **changes: Any) -> list[Finding]:
    """The findings now."""
    return decide_readiness(make_spec(**changes), observed, NOW)


def test_a_sound_pair_has_no_findings() -> None:
    """Silence means that it was looked at."""
    assert look() == []


def test_without_a_pair_there_is_one_finding() -> None:
    """All the others would only repeat it."""
    assert [finding.summary for finding in look(Recoverability())] == ["there is no pair of database servers"]


@pytest.mark.parametrize(
    ("change", "told", "is_blocking"),
    [
        ({"is_streaming": False}, "does not stream", True),
        ({"lag_seconds": None}, "lags for an unknown time", True),
        ({"lag_seconds": 9.0}, "lags by 9.0 s", True),
        ({"has_login": False}, "credentials are not taken", True),
        ({"gateway_target": "b"}, "leads to b, the primary is a", True),
        ({"last_verdict": None}, "no proved backup", False),
        ({"last_verdict": "failed"}, "no proved backup", False),
        ({"last_verdict_at": NOW - timedelta(days=3)}, "no proved backup", False),
        ({"has_last_drill_failed": True}, "last drill failed", False),
    ],
)
def test_each_thing_that_is_wrong_is_found(change: dict[str, Any], told: str, is_blocking: bool) -> None:
    """One finding, with a way out; those of the backup and of earlier drills refuse no drill."""
    (found,) = look(PAIR.model_copy(update=change))
    assert told in found.summary
    assert found.resolution
    assert found.is_blocking == is_blocking


def test_a_slow_link_is_no_stale_standby() -> None:
    """What is on its way for as long as the link takes is not late."""
    assert look(PAIR.model_copy(update={"lag_seconds": 6.0, "link_delay_seconds": 1.0})) == []


def test_a_silent_server_and_a_full_disk_are_found() -> None:
    """Each by its name."""
    silent = Side(name="b", region="eu-west-1", fault="connection refused")
    assert (
        "server b in eu-west-1 does not answer"
        in look(PAIR.model_copy(update={"sides": (PAIR.sides[0], silent)}))[0].summary
    )
    full = PAIR.sides[0].model_copy(update={"free_bytes": 2**20, "data_bytes": 2**30})
    found = look(PAIR.model_copy(update={"sides": (full, PAIR.sides[1])}))
    assert [finding.summary for finding in found] == ["server a has 1 MiB free"]


def test_two_primaries_are_found() -> None:
    """The worst state there is."""
    both = tuple(side.model_copy(update={"role": "primary"}) for side in PAIR.sides)
    assert "there are 2 primaries" in look(PAIR.model_copy(update={"sides": both}))[0].summary


def test_a_schedule_outside_the_windows_is_found() -> None:
    """It would be refused each time, and nobody would know before it was due."""
    window = {"schedule": "0 5 * * WED", "duration": "2h", "timezone": "Europe/Berlin"}
    young = PAIR.model_copy(update={"ready_since": NOW})
    (found,) = look(young, recovery=EVERY_WEDNESDAY, maintenance_windows=[window])
    assert "outside the maintenance windows" in found.summary
    assert look(young, recovery=EVERY_WEDNESDAY, maintenance_windows=[window | {"schedule": "30 3 * * *"}]) == []


def test_a_drill_is_overdue_after_an_hour() -> None:
    """It was due on Wednesday at 3:00 UTC; one that ended since, or an environment that is younger, is in time."""
    never = PAIR.model_copy(update={"last_drill_at": None})
    (found,) = look(never, recovery=EVERY_WEDNESDAY)
    assert (found.summary, found.is_blocking) == ("the drill is overdue", False)
    for since in ("last_drill_at", "ready_since"):
        assert look(never.model_copy(update={since: NOW - timedelta(hours=8)}), recovery=EVERY_WEDNESDAY) == []
        assert look(never.model_copy(update={since: NOW - timedelta(hours=10)}), recovery=EVERY_WEDNESDAY)
