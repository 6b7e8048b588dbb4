"""From the text of an environment's file and its class to one resolved specification, or all faults at once.

Invariant: pure; the file wins over its class, mappings merge by key (so services merge by name), lists replace,
and an explicit `null` takes a class's default away.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from domain.declared import quote
from domain.spec import EnvironmentSpec
from domain.spec_fault import Key, SpecError, SpecFault, nearest_word
from domain.spec_validation import explain_errors
from domain.yaml_document import Document, read_document

CLASS_FILE = "environments/classes/{}.yaml"
CHOICES: Mapping[Key, frozenset[str]] = {
    (): frozenset({"size", "capacity"}),
    ("cluster",): frozenset({"owned", "of", "context"}),
}
"""Keys that exclude each other: a file that names one takes the others of its class away."""


def resolve_spec(text: str, file_name: str, class_texts: Mapping[str, str]) -> EnvironmentSpec:
    """The specification of a file; `class_texts` has the text of each class by its name. Raises SpecError."""
    document = read_document(text, file_name)
    if document.faults and not document.value:
        raise SpecError(file_name, document.faults)
    base, faults, is_certain = _read_class(document, class_texts)
    merged = merge_documents(base, document)
    faults = [*document.faults, *faults]
    try:
        spec = EnvironmentSpec.model_validate_json(json.dumps(merged.value))
    except ValidationError as error:
        faults += explain_errors(error, merged, is_certain=is_certain)
    if faults:
        raise SpecError(file_name, sorted(faults, key=lambda fault: (fault.file != file_name, fault)))
    return spec


def _read_class(document: Document, class_texts: Mapping[str, str]) -> tuple[Document, list[SpecFault], bool]:
    """The class's document, its faults, and whether it is the right one and whole, so that absences can be judged."""
    name = document.value.get("class")
    if not isinstance(name, str):
        return Document(""), [], False
    if name in class_texts:
        base, taken = _read_class_text(class_texts[name], name)
        return base, [*base.faults, *taken], not base.faults
    nearest = nearest_word(name, class_texts)
    place = document.places[("class",)]
    fault = SpecFault.at(place, ("class",), quote(name), f"one of {', '.join(sorted(class_texts))}", nearest)
    base = read_document(class_texts[nearest], CLASS_FILE.format(nearest)) if nearest else Document("")
    return base, [fault], bool(nearest)


@lru_cache(16)
def _read_class_text(text: str, name: str) -> tuple[Document, tuple[SpecFault, ...]]:
    """A class's document, read once for each text and changed by nobody, and the faults that only a class can have."""
    base = read_document(text, CLASS_FILE.format(name))
    return base, tuple(_take_own_keys(base))


def _take_own_keys(base: Document) -> list[SpecFault]:
    """Take out of a class what only an environment may say of itself, and name it."""
    found = [key for key in ("name", "class") if key in base.value]
    return [
        SpecFault.at(base.places[(key,)], (key,), quote(base.value.pop(key)), "this key only in an environment's file")
        for key in found
    ]


def merge_documents(base: Document, over: Document) -> Document:
    """`over` on top of `base`; places are those of the file that had the last word."""
    return Document(
        over.file, _merge(base.value, over.value, ()), {**base.places, **over.places}, [*base.faults, *over.faults]
    )


def _merge(base: dict[str, Any], over: dict[str, Any], key: Key) -> dict[str, Any]:
    choices = CHOICES.get(key, frozenset())
    dropped = choices if choices & over.keys() else frozenset()
    merged = {name: value for name, value in base.items() if name not in dropped}
    for name, value in over.items():
        below = base.get(name)
        is_both = isinstance(value, dict) and isinstance(below, dict)
        merged[name] = _merge(base[name], value, (*key, name)) if is_both else value
    return merged
