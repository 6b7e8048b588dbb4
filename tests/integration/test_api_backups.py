"""Backups of an environment over the API: which kind the run is told to take."""

from collections.abc import Iterator

import pytest

from blocks.ledger import Ledger
from tests.api_face import Face, open_face


@pytest.fixture
def face(ledger: Ledger) -> Iterator[Face]:
    """An API on an empty ledger."""
    with open_face(ledger) as face:
        yield face


def test_the_flow_is_told_the_kind_that_was_asked_for(face: Face) -> None:
    """Without one it is told none, and takes what the environment's file says; another word is no question."""
    face.make()
    for asked, told in ((None, {}), ({"kind": None}, {}), ({"kind": "physical"}, {"kind": "physical"})):
        run = face.post("/api/environments/try/backups", asked)
        assert run["operation"] == "backup"
        assert face.prefect.runs[run["run_id"]].parameters == {"environment": "try"} | told
    assert face.post("/api/environments/try/backups", {"kind": "tape"}, 422)["error"]["kind"] == "bad_request"
