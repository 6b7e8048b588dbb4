"""A hold refuses new changes, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import RefusedError
from domain.hold import Hold, refuse_held, refuse_second
from domain.status import Operation

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOLD = Hold(environment="staging", holder="ada", reason="incident 12", expires_at=NOW + timedelta(hours=2))


@pytest.mark.parametrize("operation", [Operation.PROVISION, Operation.TEARDOWN])
def test_a_change_is_refused_with_holder_reason_and_end(operation: Operation) -> None:
    """Who meets a hold knows whom to ask."""
    with pytest.raises(RefusedError, match="staging is held by ada until 2026-03-01 14:00 UTC: incident 12"):
        refuse_held(operation, HOLD, NOW)


def test_what_changes_nothing_goes_on() -> None:
    """A plan is made under a hold, and anything is where there is none or its time is over."""
    refuse_held(Operation.PLAN, HOLD, NOW)
    refuse_held(Operation.PROVISION, None, NOW)
    refuse_held(Operation.PROVISION, HOLD, HOLD.expires_at)


def test_one_person_holds_at_a_time() -> None:
    """The holder may hold anew, nobody else until it is over."""
    refuse_second(HOLD, "ada", NOW)
    refuse_second(HOLD, "bob", HOLD.expires_at)
    with pytest.raises(RefusedError, match="held already, by ada"):
        refuse_second(HOLD, "bob", NOW)
