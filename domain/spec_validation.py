"""Pydantic's errors in the words of people: the place in the file, the value as written, the schema's description."""

import re
from collections.abc import Iterator

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from domain.declared import BrokenRule, BrokenRulesError, quote
from domain.schema import Schema, find_schema
from domain.spec_fault import Key, Place, SpecFault, nearest_word, write_key
from domain.yaml_document import Document

KINDS = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "tuple_type": "a list",
    "dict_type": "a mapping",
}
FOLLOW_UPS = ("default_factory_not_called",)  # says only that another key is wrong, which has a fault of its own
TRUTHS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def explain_errors(error: ValidationError, document: Document, *, is_certain: bool) -> list[SpecFault]:
    """The faults of a document; without certainty about its class, nothing is said about what is absent."""
    faults: list[SpecFault] = []
    odd = {fault.key for fault in document.faults}
    for details in error.errors(include_url=False):
        key, is_missing = details["loc"], details["type"] == "missing"
        is_absence = is_missing or details["type"] == "value_error"
        is_told = write_key(key) in odd or (is_missing and write_key(key[:-1]) in odd)
        is_judged = is_certain or not is_absence or key in (("name",), ("class",))
        if is_judged and not is_told and details["type"] not in FOLLOW_UPS:
            faults += _explain(details, document)
    meant = {_sibling(fault.key, fault.suggestion) for fault in faults if fault.found == UNKNOWN}
    return [fault for fault in faults if not (fault.found == "nothing" and fault.key in meant)]


UNKNOWN = "an unknown key"


def _explain(details: ErrorDetails, document: Document) -> Iterator[SpecFault]:
    key, kind, value = details["loc"], details["type"], details["input"]
    broken = details.get("ctx", {}).get("error")
    if isinstance(broken, BrokenRulesError):
        yield from (_explain_rule(rule, key, document) for rule in broken.rules)
    elif kind == "extra_forbidden":
        words = list(find_schema(key[:-1]).get("properties", ()))
        allowed = f"the keys {', '.join(words)}"
        yield SpecFault.at(_find_place(key, document), key, UNKNOWN, allowed, nearest_word(str(key[-1]), words))
    elif kind == "missing":
        yield SpecFault.at(_find_place(key[:-1], document), key, "nothing", _describe(find_schema(key), details))
    elif key[-1:] == ("[key]",):
        schema = find_schema((*key[:-2], "[key]"))
        place = _find_place(key[:-1], document)
        hint = nearest_word(str(value), schema.get("enum", ()))
        yield SpecFault.at(place, key[:-1], quote(value), _describe(schema, details), hint)
    else:
        schema, place = find_schema(key), _find_place(key, document)
        hint = _suggest(kind, value, place, schema)
        yield SpecFault.at(place, key, _write_found(value, place), _describe(schema, details), hint)


def _describe(schema: Schema, details: ErrorDetails) -> str:
    """What is allowed, in the schema's words: its choices, its keys, or its kind and description."""
    if choices := schema.get("enum"):
        return f"one of {', '.join(map(str, choices))}"
    if details["type"] == "model_type":
        return f"a mapping of the keys {', '.join(schema['properties'])}"
    description = schema.get("description", details["msg"])
    kind = KINDS.get(details["type"], "")
    return f"{kind}: {description}" if kind else description


def _explain_rule(rule: BrokenRule, key: Key, document: Document) -> SpecFault:
    whole = (*key, *rule.key)
    suggestion = nearest_word(rule.found.strip('"'), rule.words)
    return SpecFault.at(_find_place(whole, document), whole, rule.found, rule.allowed, suggestion)


def _suggest(kind: str, value: object, place: Place, schema: Schema) -> str:
    if kind == "string_type" and place.text and re.search(schema.get("pattern", ""), place.text):
        return f'"{place.text}"'
    if kind == "int_type" and isinstance(value, str) and value.isdecimal():
        return f"{value} without quotes"
    if kind == "bool_type":
        return TRUTHS.get(str(value).lower(), "")
    choices = schema.get("enum", ())
    if isinstance(value, int) and all(isinstance(choice, int) for choice in choices):
        return str(min(choices, key=lambda choice: abs(choice - value), default=""))
    return nearest_word(str(value), choices)


def _write_found(value: object, place: Place) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return place.text if is_number and place.text else quote(value)


def _find_place(key: Key, document: Document) -> Place:
    """The place of a key, or of the nearest key above it."""
    return next(document.places[key[:length]] for length in range(len(key), -1, -1) if key[:length] in document.places)


def _sibling(key: str, word: str) -> str:
    parent = key.rpartition(".")[0]
    return f"{parent}.{word}" if parent else word
