"""What data should be like, in Great Expectations' own JSON: one suite per table; and what its answers mean."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from domain.errors import PermanentError

Suite = dict[str, Any]


class Expectation(BaseModel):
    """One expectation of a suite."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str
    arguments: dict[str, Any] = {}
    meta: dict[str, Any] | None = None
    severity: str | None = None

    def to_json(self) -> dict[str, Any]:
        """In the spelling of Great Expectations 1."""
        found = self.model_dump(exclude_none=True)
        arguments = found.pop("arguments")
        return {**found, "kwargs": arguments}


class Checked(BaseModel):
    """What became of one expectation. `observed` is what was found instead, as short as it can be told."""

    model_config = ConfigDict(frozen=True)

    table: str
    expectation: str
    passed: bool
    observed: str = ""


def read_suites(text: str, source: str) -> dict[str, list[Expectation]]:
    """Table → its expectations, from a JSON object of suites. PermanentError where it is none."""
    try:
        suites = TypeAdapter(dict[str, Suite]).validate_python(json.loads(text))
        return {table: [_read(one) for one in suite["expectations"]] for table, suite in suites.items()}
    except KeyError as error:
        raise _refuse(source, "a suite has no `expectations`") from error
    except (ValueError, TypeError) as error:
        fault = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise _refuse(source, fault) from error


def _refuse(source: str, fault: str) -> PermanentError:
    return PermanentError(
        f"The expectations {source} cannot be read: {fault}.",
        "Give a JSON object with a suite of Great Expectations for each table; docs/backups.md has an example.",
    )


def _read(one: dict[str, Any]) -> Expectation:
    """Version 0 called the type `expectation_type`."""
    return Expectation.model_validate(
        {"type": one.get("expectation_type"), **one, "arguments": one.get("kwargs") or {}}
    )


def list_faults(checked: Iterable[Checked]) -> list[str]:
    """The expectations that do not hold, with what was found."""
    return [f"{one.table}: {one.expectation}: {one.observed}" for one in checked if not one.passed]


def tell_observed(result: Mapping[str, Any]) -> str:
    """A result of Great Expectations in a few words, without a value of any row: rows may be about people."""
    if "unexpected_count" in result:
        return f"{result['unexpected_count']} of {result.get('element_count')} rows are not so"
    if isinstance(result.get("observed_value"), int | float | str):
        return f"found {result['observed_value']}"
    return "it is not so"
