"""Why a plan touches a resource: the attributes that differ, from the JSON of `terraform show` of the saved plan.

Invariant: what Terraform calls sensitive is named and never shown; everything else that differs is in the list, so that
the plan's id stands for it. What is too long to read is there with its digest.
Source: developer.hashicorp.com/terraform/internals/json-format, change representation.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from domain.changes import AttributeChange, Change, Changes

SENSITIVE, UNKNOWN, ABSENT = "(sensitive)", "(known after apply)", "(none)"
SHOWN_CHARACTERS = 120
_MISSING: Any = object()


def explain(changes: Changes, resource_changes: list[dict[str, Any]]) -> Changes:
    """The changes with the attributes that differ; what is only added or destroyed differs in all, and shows none."""
    by_address = {row["address"]: row["change"] for row in resource_changes}
    return changes.model_copy(update={"items": tuple(_explain(item, by_address) for item in changes.items)})


def _explain(item: Change, by_address: dict[str, Any]) -> Change:
    if item.action not in ("change", "replace") or item.address not in by_address:
        return item
    change = by_address[item.address]
    forcing = {_name(path) for path in change.get("replace_paths", ())}
    found = [one.model_copy(update={"forces_replacement": _forces(one.key, forcing)}) for one in _differences(change)]
    found.sort(key=lambda one: (not one.forces_replacement, one.key))
    return item.model_copy(update={"differences": tuple(found)})


def _forces(key: str, forcing: set[str]) -> bool:
    return any(key == name or key.startswith((f"{name}.", f"{name}[")) for name in forcing)


def _differences(change: dict[str, Any]) -> Iterator[AttributeChange]:
    before, after = _leaves(change.get("before")), _leaves(change.get("after"))
    unknown = {key for key, value in _leaves(change.get("after_unknown")).items() if value is True}
    marks = (change.get("before_sensitive"), change.get("after_sensitive"))
    secret = {key for mark in marks for key, value in _leaves(mark).items() if value is True}
    for key in sorted({*before, *after, *unknown}):
        old, new = before.get(key, _MISSING), UNKNOWN if key in unknown else after.get(key, _MISSING)
        if old == new or (old in (_MISSING, None) and new in (_MISSING, None)):
            continue
        is_secret = any(_forces(key, {name}) or name == "" for name in secret)
        yield AttributeChange(key=key, before=_show(old, is_secret=is_secret), after=_show(new, is_secret=is_secret))


def _leaves(value: Any, key: str = "") -> dict[str, Any]:
    """A nested value as its leaves under dotted keys; text that is a JSON object counts as one."""
    parsed = _parse_object(value)
    if isinstance(parsed, dict) and parsed:
        named = {f"{key}.{name}" if key else str(name): inner for name, inner in parsed.items()}
        return {name: leaf for inner in named.items() for name, leaf in _leaves(inner[1], inner[0]).items()}
    if isinstance(parsed, list) and parsed:
        return {name: leaf for n, inner in enumerate(parsed) for name, leaf in _leaves(inner, f"{key}[{n}]").items()}
    return {key: parsed} if key or parsed is True else {}


def _parse_object(value: Any) -> Any:
    if not (isinstance(value, str) and value.startswith("{")):
        return value
    try:
        parsed = json.loads(value)
    except ValueError:
        return value
    return parsed if isinstance(parsed, dict) else value


def _show(value: Any, *, is_secret: bool) -> str:
    if value is _MISSING or value is None:
        return ABSENT
    if is_secret:
        return SENSITIVE
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) <= SHOWN_CHARACTERS:
        return text
    return f"{text[:SHOWN_CHARACTERS]}… (sha256 {sha256(text.encode()).hexdigest()[:16]})"


def _name(path: list[Any]) -> str:
    """`["tags", "Name"]` as `tags.Name`, `["rule", 0]` as `rule[0]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
