"""The last word on a failover that nobody asked for: each refusal both ways."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import RefusedError
from domain.hold import Hold
from domain.spec_parts import Recovery
from domain.third_look import (
    LATE_SECONDS,
    WANTED_SECONDS,
    Grounds,
    LateLook,
    ThirdLook,
    refuse_to_finish,
    refuse_unless_lost,
)

T0 = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOLD = Hold(environment="dev", holder="ada", reason="disk", expires_at=T0 + timedelta(hours=1))
THIRD = ThirdLook(at=T0, grounds=Grounds(decided_at=T0, loss_seconds=6), answering=("b",), standby="b", hold=None)


def recovery(**changes: Any) -> Recovery:
    """Automatic, five minutes of loss allowed, thirty of cooldown."""
    known = {"rto": "1h", "rpo": "5m", "backup_max_age": "24h", "failover": "automatic", "failover_cooldown": "30m"}
    return Recovery.model_validate(known | changes)


def decided(seconds_ago: float, loss_seconds: float | None) -> dict[str, Any]:
    """Grounds of a while ago."""
    return {"grounds": Grounds(decided_at=T0 - timedelta(seconds=seconds_ago), loss_seconds=loss_seconds)}


ALLOWED: list[dict[str, Any]] = [
    {},
    {"hold": HOLD.model_copy(update={"expires_at": T0})},
    {"last_failover_at": T0 - timedelta(minutes=30)},
    decided(LATE_SECONDS, 6),
    decided(LATE_SECONDS, 240),
    decided(LATE_SECONDS, None),
    decided(-1, 300),
]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"answering": ("a", "b")}, "Servers that answer: a and b; standby: b"),
    ({"answering": ()}, "Servers that answer: none"),
    ({"standby": None}, "standby: none"),
    ({"spoken": ("a",)}, "its primary a has answered this run in a session, so it is not lost"),
    ({"hold": HOLD}, "while ada holds it: disk"),
    ({"last_failover_at": T0 - timedelta(minutes=29)}, "the cooldown after the last failover lasts until 2026-11-30"),
    (decided(7200, 6), "decided 7200 s ago, limit 60 s"),
    (decided(LATE_SECONDS + 1, None), "decided 61 s ago"),
    (decided(30, 271), "by now up to 301 s of writes may be lost, and recovery.rpo allows 300 s"),
]


@pytest.mark.parametrize("changes", ALLOWED)
def test_the_third_look_lets_a_lost_primary_go(changes: dict[str, Any]) -> None:
    """Where the standby alone answers, in time, with a loss that the file allows."""
    refuse_unless_lost("dev", recovery(), THIRD.model_copy(update=changes))


@pytest.mark.parametrize(("changes", "told"), REFUSED)
def test_the_third_look_has_the_last_word(changes: dict[str, Any], told: str) -> None:
    """What was decided before counts for nothing where the run sees, or the ledger or the time says, otherwise."""
    with pytest.raises(RefusedError) as caught:
        refuse_unless_lost("dev", recovery(), THIRD.model_copy(update=changes))
    assert told in caught.value.summary
    assert "terrarium failover dev" in caught.value.resolution or "the vantage points" in caught.value.resolution


def test_the_third_look_asks_the_file() -> None:
    """Changed to `ask` while the run began: no failover by itself."""
    with pytest.raises(RefusedError, match="failover is ask"):
        refuse_unless_lost("dev", recovery(failover="ask"), THIRD)


def test_a_person_is_not_asked() -> None:
    """Neither the file, nor anything that was seen, stops a failover that a person asked for."""
    refuse_unless_lost("dev", recovery(failover="ask"), None)


LATE = LateLook(at=T0, begun_at=T0 - timedelta(seconds=WANTED_SECONDS), answering=("b",), standby="b")


def test_a_dead_failover_of_a_lost_primary_is_finished_in_time() -> None:
    """Where the standby alone answers."""
    refuse_to_finish("dev", LATE)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"at": T0 + timedelta(seconds=1)}, "began 301 s ago and died, limit 300 s"),
        ({"answering": ("a", "b")}, "may be coming back. Servers that answer: a and b; standby: b"),
        ({"answering": ()}, "Servers that answer: none"),
        ({"standby": None}, "standby: none"),
    ],
)
def test_a_dead_failover_is_not_finished_on_old_consent(changes: dict[str, Any], told: str) -> None:
    """A primary that starts again still has what nobody would see any more."""
    with pytest.raises(RefusedError) as caught:
        refuse_to_finish("dev", LATE.model_copy(update=changes))
    assert told in caught.value.summary
