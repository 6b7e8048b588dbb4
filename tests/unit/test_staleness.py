"""Whether a plan that was shown may still be applied."""

from datetime import UTC, datetime, timedelta

import pytest

from blocks.environment_files import read_declared
from domain.errors import RefusedError
from domain.staleness import refuse_changed_spec, refuse_expired, refuse_moved_state

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_a_plan_ends_with_its_hours() -> None:
    """The last second is over when it is reached."""
    refuse_expired("dev", "p1", NOW + timedelta(seconds=1), NOW)
    with pytest.raises(RefusedError, match=r"plan p1 ended at 2026-11-24 00:00 UTC"):
        refuse_expired("dev", "p1", NOW, NOW)


def test_a_changed_spec_names_the_keys_that_moved() -> None:
    """And what they were; the same content under a newer version is no change."""
    spec = read_declared("dev")[1]
    refuse_changed_spec("p1", spec, spec.model_copy())
    with pytest.raises(RefusedError, match=r"1 keys: owner: .* → somebody"):
        refuse_changed_spec("p1", spec, spec.model_copy(update={"owner": "somebody"}))


def test_a_moved_state_names_who_moved_it() -> None:
    """Or says that nobody did it through Terrarium."""
    assert "by provision run 7 of ada" in refuse_moved_state("dev", "p1", ["provision run 7 of ada"]).summary
    assert "beside it" in refuse_moved_state("dev", "p1", []).summary
