"""What the local Prefect server does once that Prefect does for each run, and the names of Prefect's that it needs."""

from collections.abc import Iterator

import pytest
from prefect.utilities.schema_tools import validation

from deployments.local import prefect_server

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}
NO_SCHEMA = {"type": "object", "properties": {"name": {"type": "strange"}}}


@pytest.fixture(autouse=True)
def patched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Prefect's validation as the local server has it."""
    prefect_server.check_text.cache_clear()
    monkeypatch.setattr(validation._VALIDATOR, "check_schema", prefect_server.check_once)
    yield
    prefect_server.check_text.cache_clear()


def test_a_schema_is_checked_once() -> None:
    """Whatever is held against it, both ways that Prefect asks."""
    validation.is_valid_schema(SCHEMA)
    validation.validate({"name": "a"}, SCHEMA, raise_on_error=True)
    validation.validate({"name": "b"}, SCHEMA, raise_on_error=True)
    found = prefect_server.check_text.cache_info()
    assert found.hits > 0
    assert found.misses == found.currsize


def test_what_is_wrong_is_told_each_time() -> None:
    """A value that is not as the schema says, and a schema that is none."""
    for _ in range(2):
        with pytest.raises(validation.ValidationError):
            validation.validate({"name": 1}, SCHEMA, raise_on_error=True)
        with pytest.raises(ValueError, match="Invalid schema"):
            validation.is_valid_schema(NO_SCHEMA)
