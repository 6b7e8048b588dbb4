"""The base of everything that a specification declares, and the error of a rule that spans several keys.

Field descriptions are noun phrases: editors show them, and a fault says "allowed <description>".
"""

import textwrap
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

NAME_PATTERN = r"^[a-z]([a-z0-9]|-[a-z0-9])*$"
"""Small letters, digits and single hyphens, a letter first: what RDS, S3, load balancers and DNS labels all accept."""


class Declared(BaseModel):
    """A part of a specification: immutable, strictly typed, and closed to keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class BrokenRule(NamedTuple):
    """One fault at `key` (relative to the field under validation): what was found, what is allowed, and near words."""

    key: tuple[str | int, ...]
    found: str
    allowed: str
    words: tuple[str, ...] = ()


class BrokenRulesError(ValueError):
    """Raised inside a validator; carries every broken rule of that field, so that none hides another."""

    def __init__(self, *rules: BrokenRule) -> None:
        super().__init__("; ".join(f"found {rule.found}, allowed {rule.allowed}" for rule in rules))
        self.rules = rules


def refuse(*rules: BrokenRule) -> None:
    """Raise BrokenRulesError where there is a broken rule."""
    if rules:
        raise BrokenRulesError(*rules)


def refuse_value(found: object, allowed: str, words: tuple[str, ...] = ()) -> None:
    """Raise BrokenRulesError about the field under validation itself."""
    refuse(BrokenRule((), quote(found), allowed, words))


def quote(value: object) -> str:
    """A value as a person would name it: text in quotes, numbers bare, mappings and lists by their kind."""
    names: dict[type, str] = {dict: "a mapping", list: "a list", type(None): "nothing"}
    if type(value) in names:
        return names[type(value)]
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value)
    is_short = len(value) <= 80 and "\n" not in value
    return f'"{value if is_short else textwrap.shorten(value, 80, placeholder="…")}"'
