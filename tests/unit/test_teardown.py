"""What a teardown does and keeps, and when a temporary environment is due."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest

from blocks.environment_files import read_declared
from domain.errors import RefusedError
from domain.pair_plan import ObservedPair
from domain.teardown import Temporary, decide_teardown, list_due, refuse_newer_life

NO_PAIR = ObservedPair()
ENDS_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _names(environment: str) -> list[str]:
    return [step.name for step in decide_teardown(read_declared(environment)[1], NO_PAIR).steps]


def test_data_is_copied_before_anything_is_removed() -> None:
    """Staging keeps its media: they are in the vault before their bucket is emptied."""
    assert _names("staging") == [
        "copy_media_to_vault",
        "empty_media",
        "destroy_infrastructure",
        "verify_removal",
        "publish_removal_report",
    ]


def test_an_environment_without_kept_media_is_only_removed() -> None:
    """Media of development are deleted with their bucket, and its database pair with its data."""
    assert _names("dev") == ["delete_pair", "destroy_infrastructure", "verify_removal", "publish_removal_report"]


def test_a_protected_environment_is_refused_with_the_way() -> None:
    """The refusal says which key of which file stands against it."""
    with pytest.raises(RefusedError, match=r"production is protected.*protection\.teardown: allowed"):
        decide_teardown(read_declared("production")[1], NO_PAIR)


def test_leftovers_name_what_stays() -> None:
    """Staging leaves a snapshot and its media, development neither; keys and secrets wait for their deletion."""
    staging = " ".join(item.what for item in decide_teardown(read_declared("staging")[1], NO_PAIR).leftovers)
    dev = " ".join(item.what for item in decide_teardown(read_declared("dev")[1], NO_PAIR).leftovers)
    assert all(word in staging for word in ("media", "snapshot", "keys", "secrets"))
    assert "media" not in dev
    assert "snapshot" not in dev


def _due(minutes: int, **known: datetime) -> str | None:
    temporary = Temporary(environment="sandbox", expires_at=ENDS_AT, warning_minutes=30, **known)
    found = list_due([temporary], ENDS_AT + timedelta(minutes=minutes))
    return found[0].action if found else None


def test_nothing_is_due_before_the_warning() -> None:
    """The schedule does nothing, minute after minute."""
    assert _due(-31) is None


def test_a_warning_is_given_once_for_an_end() -> None:
    """An extension moves the end, and that end is warned about again."""
    assert _due(-30) == "warn"
    assert _due(-29, warned_for=ENDS_AT) is None
    assert _due(-29, warned_for=ENDS_AT - timedelta(hours=1)) == "warn"


def test_an_end_that_was_never_warned_about_is_kept_all_the_same() -> None:
    """A stack that was down over the warning expires what is due."""
    assert _due(0) == "expire"


def test_a_teardown_that_did_not_succeed_is_started_again_after_an_hour() -> None:
    """Not every minute: its cause wants a person first."""
    assert _due(5, expiring_since=ENDS_AT) is None
    assert _due(60, expiring_since=ENDS_AT) == "expire"


@pytest.mark.parametrize(
    ("asked_at", "is_refused"),
    [(ENDS_AT + timedelta(seconds=1), False), (ENDS_AT, False), (ENDS_AT - timedelta(seconds=1), True), (None, True)],
)
def test_a_teardown_is_of_the_life_that_it_was_asked_for(asked_at: datetime | None, is_refused: bool) -> None:
    """What was made after it was asked for is not removed by its repetition, nor where that is not known."""
    with pytest.raises(RefusedError, match="began at 2026-01-01 12:00 UTC") if is_refused else nullcontext():
        refuse_newer_life("dev", "run", asked_at, opened_at=ENDS_AT)
