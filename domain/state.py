"""Terraform's state, read for what it says of the world: which resources exist, and which waited for which."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict


class StateResource(BaseModel):
    """One managed resource instance of a state. `arn` is empty where AWS gives the type none."""

    model_config = ConfigDict(frozen=True)

    address: str
    resource_type: str
    resource_id: str
    arn: str
    depends_on: frozenset[str]


def read_resources(state: dict[str, Any]) -> tuple[StateResource, ...]:
    """The managed resources of a state (format version 4), by address."""
    found = (_read_instance(block, instance) for block in _managed(state) for instance in block["instances"])
    return tuple(sorted(found, key=lambda resource: resource.address))


def read_dependencies(resources: tuple[StateResource, ...]) -> dict[str, set[str]]:
    """For each address the addresses it waited for; a state names a block, which stands for all of its instances."""
    instances: dict[str, set[str]] = {}
    for resource in resources:
        instances.setdefault(_strip_key(resource.address), set()).add(resource.address)
    return {
        resource.address: {name for block in resource.depends_on for name in instances.get(block, set())}
        for resource in resources
    }


def read_outputs(state: dict[str, Any]) -> dict[str, Any]:
    """The outputs of a state by name: those of the stack's contract."""
    return {name: output["value"] for name, output in state.get("outputs", {}).items()}


def find_buckets(state: dict[str, Any], module: str) -> dict[str, str]:
    """Buckets of a module of the stack, name to region.

    Read from the resources: a removal that stopped halfway has deleted all outputs, and what it left is still there.
    """
    return {
        instance["attributes"]["bucket"]: instance["attributes"]["region"]
        for block in _managed(state)
        if block["type"] == "aws_s3_bucket" and _strip_key(block.get("module", "")).startswith(f"module.{module}.")
        for instance in block["instances"]
    }


def _managed(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (block for block in state.get("resources", []) if block["mode"] == "managed")


def _read_instance(block: dict[str, Any], instance: dict[str, Any]) -> StateResource:
    attributes = instance.get("attributes") or {}
    prefix = f"{block['module']}." if block.get("module") else ""
    key = instance.get("index_key")
    suffix = "" if key is None else f"[{key}]" if isinstance(key, int) else f'["{key}"]'
    return StateResource(
        address=f"{prefix}{block['type']}.{block['name']}{suffix}",
        resource_type=block["type"],
        resource_id=str(attributes.get("id", "")),
        arn=str(attributes.get("arn") or ""),
        depends_on=frozenset(_strip_key(name) for name in instance.get("dependencies", [])),
    )


def _strip_key(address: str) -> str:
    """An address without instance keys: `module.a[0].aws_subnet.b["c"]` becomes `module.a.aws_subnet.b`."""
    parts: list[str] = []
    depth = 0
    for character in address:
        depth += character == "["
        if not depth:
            parts.append(character)
        depth -= character == "]"
    return "".join(parts)
