"""A temporary environment, started by curl: it warns, is extended, and ends by the schedule."""

from concurrent.futures import Future
from datetime import datetime, timedelta

import pytest

from tests.e2e.lifetime import EXTENSION_MINUTES, Lifetime

LIFE_SECONDS = 420

pytestmark = pytest.mark.e2e


@pytest.fixture
def seen(lifetime: "Future[Lifetime]") -> Lifetime:
    """The life that began with the first test, when it is over."""
    return lifetime.result(LIFE_SECONDS)


def test_curl_gets_the_run_and_its_address(seen: Lifetime) -> None:
    """The answer to POST comes with 202, before the run has begun."""
    assert seen.answer_head.splitlines()[0].split()[1] == "202"
    assert f"location: /api/runs/{seen.answered['run_id']}" in seen.answer_head.lower()
    assert seen.answered["status"] == "queued"


def test_it_warns_is_extended_and_expires_by_the_schedule(seen: Lifetime) -> None:
    """The warning comes in the last minute; the extension counts from the end; after that a run removes it."""
    warned_at = datetime.fromisoformat(seen.warning["timestamp"])
    assert timedelta() < seen.expires_at - warned_at <= timedelta(minutes=1)
    assert f"terrarium env extend {seen.answered['environment']}" in seen.warning["message"]
    assert seen.extended_to == seen.expires_at + timedelta(minutes=EXTENSION_MINUTES)
    assert seen.was_there_at_first_end
    teardown, provision = seen.runs
    assert (provision["operation"], provision["actor"]) == ("provision", "admin")
    assert (teardown["operation"], teardown["actor"], teardown["status"]) == ("teardown", "ttl", "succeeded")
    began_late = datetime.fromisoformat(teardown["started_at"]) - seen.extended_to
    assert timedelta() <= began_late < timedelta(minutes=1, seconds=30)
    assert seen.status == "destroyed"
