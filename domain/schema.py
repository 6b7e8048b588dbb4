"""JSON Schema of the YAML files, for editors, and the words that faults use: both say the same by construction."""

import functools
import json
from typing import Any

from domain.spec import EnvironmentSpec
from domain.spec_fault import Key

Schema = dict[str, Any]


@functools.cache
def spec_schema() -> Schema:
    """The schema of a resolved specification."""
    return EnvironmentSpec.model_json_schema(by_alias=True)


def file_schema() -> Schema:
    """The schema of an environment's file: only `name` and `class` are required, a class may give the rest."""
    return {**_without_required(spec_schema()), "title": "An environment of Terrarium", "required": ["name", "class"]}


def class_schema() -> Schema:
    """The schema of a class's file, in which nothing is required, and which has neither `name` nor `class`."""
    schema = _without_required(spec_schema())
    properties = {key: value for key, value in schema["properties"].items() if key not in ("name", "class")}
    return {**schema, "title": "A class of environments", "properties": properties}


def render_schema(schema: Schema) -> str:
    """A schema as the text of its file."""
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2) + "\n"


def find_schema(key: Key) -> Schema:
    """The part of the schema that speaks of a key; empty where there is none. A map's own keys are below "[key]"."""
    schema = spec_schema()
    for part in key:
        below = _resolve(schema)
        if part == "[key]":
            schema = below.get("propertyNames", {})
        elif isinstance(part, int):
            schema = {**below.get("items", {}), "description": schema.get("description", "")}
        else:
            patterns = list(below.get("patternProperties", {}).values())
            schema = below.get("properties", {}).get(part) or below.get("additionalProperties") or (patterns or [{}])[0]
    return {**_resolve(schema), **{word: schema[word] for word in ("description",) if word in schema}}


def _resolve(schema: Schema) -> Schema:
    if "$ref" in schema:
        target: Schema = spec_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
        return target
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    return _resolve(options[0]) if options else schema


def _without_required(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_required(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {key: _without_required(item) for key, item in value.items()}
        if name in ("properties", "$defs")
        else _without_required(value)
        for name, value in schema.items()
        if name != "required"
    }
