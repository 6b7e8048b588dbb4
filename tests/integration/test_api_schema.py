"""The API keeps to its own OpenAPI document, whatever is sent: generated calls against every address.

Half of the names in addresses are made to be ones that are there, so that what lies behind them is reached too.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.schemas import BaseSchema

from blocks.ledger import Ledger
from domain.changes import Change, Changes
from tests.api_face import Face, open_face
from tests.api_server import TOKEN
from tests.integration.test_api_people import ACCOUNT

CALLS_EACH = 20
CHANGED = Changes(items=(Change(address="a.x", resource_type="a", action="change"),))
KNOWN: dict[str, str] = {}


@pytest.fixture
def face(ledger: Ledger) -> Iterator[Face]:
    """An API with an environment, a run, a plan, a token and an account; it never asks to come back later."""
    with open_face(ledger, api_calls_per_minute=10**6) as face:
        made = face.make()
        soon = face.sources.read_clock() + timedelta(hours=1)
        face.ledger.add_plan("p1", "try", 1, made["run_id"], CHANGED.digest(), CHANGED.model_dump_json(), "x", soon)
        face.give_token("ada")
        face.post("/api/accounts", ACCOUNT, 200)
        KNOWN.update(a="try", b="try", plan_id="p1", run_id=made["run_id"])
        yield face


@pytest.fixture
def document(face: Face) -> BaseSchema:
    """The API's document, with its checks; a rule beyond a JSON schema may refuse what the schema allows: 409, 422."""
    schema = schemathesis.openapi.from_url(f"{face.url}/openapi.json")
    checks = schema.config.checks
    checks.positive_data_acceptance.expected_statuses = ["2xx", "401", "403", "404", "409", "422"]
    checks.negative_data_rejection.expected_statuses = ["400", "401", "403", "404", "405", "409", "413", "422"]
    return schema


api = schemathesis.pytest.from_fixture("document")


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Every second generated name is one that is there."""
    names = path_parameters or {}
    of_name = {"/api/tokens/{name}": "ada", "/api/accounts/{name}/check": "team-b"}
    known = KNOWN | {"name": of_name.get(context.operation.path, "try")}
    return {key: known[key] if key in known and len(str(value)) % 2 else value for key, value in names.items()}


@api.parametrize()
@settings(max_examples=CALLS_EACH, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_the_document_says(case: schemathesis.Case) -> None:
    """Status, headers and body are documented, nothing is a 500, no address is open, and what is no request is told."""
    case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
