"""How two specifications differ, key by key, so that the distance between two environments can be read."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.spec import EnvironmentSpec
from domain.spec_fault import Key, write_key


class Difference(BaseModel):
    """One key with its value on either side as it stands in the YAML; None where a side does not have it."""

    model_config = ConfigDict(frozen=True)

    key: str
    left: Any
    right: Any


def list_differences(left: EnvironmentSpec, right: EnvironmentSpec) -> list[Difference]:
    """All keys whose values differ, in the order of the specification; what a size stands for is compared as well."""
    values, others = _flatten_spec(left), _flatten_spec(right)
    return [
        Difference(key=key, left=values.get(key), right=others.get(key))
        for key in {**values, **others}
        if values.get(key) != others.get(key)
    ]


def _flatten_spec(spec: EnvironmentSpec) -> dict[str, Any]:
    content = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["capacity"] = spec.capacity.model_dump(mode="json")
    return {write_key(key): value for key, value in _flatten(content, ())}


def _flatten(value: Any, key: Key) -> Iterator[tuple[Key, Any]]:
    """Leaves with their keys; a list of plain values is one leaf, and so is a mapping or list that is empty."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _flatten(item, (*key, name))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from _flatten(item, (*key, index))
    else:
        yield key, value
