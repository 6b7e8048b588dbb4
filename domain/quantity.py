"""Durations and amounts as people write them ("8h", "250m", "512Mi"), kept as whole numbers of one unit.

Invariant: writing a quantity and reading it again gives the same number. A bare number is refused, because `ttl: 8`
would be eight minutes to one reader and eight hours to the other.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from domain.declared import refuse_value

_MINUTES = {"d": 1440, "h": 60, "m": 1}
_MEBIBYTES = {"Gi": 1024, "Mi": 1}
_CORES = re.compile(r"(\d+)(m?)|(\d+\.\d+)")


def parse_quantity(value: Any, units: Mapping[str, int], allowed: str, divisor: int = 1) -> int:
    """A text such as "8h" as a whole, positive number of `divisor` base units. Raises BrokenRulesError."""
    match = re.fullmatch(r"([0-9]{1,6})([A-Za-z]+)", value) if isinstance(value, str) else None
    base = int(match[1]) * units.get(match[2], 0) if match else 0
    if base == 0 or base % divisor:
        refuse_value(value, allowed)
    return base // divisor


def format_quantity(number: int, units: Mapping[str, int]) -> str:
    """The shortest exact text, for example 120 minutes as "2h"; `units` stand from the largest to the smallest."""
    unit = next(unit for unit, size in units.items() if number % size == 0)
    return f"{number // units[unit]}{unit}"


def parse_millicores(value: Any) -> int:
    """Kubernetes' CPU quantity ("250m", "2", "0.5") in thousandths of a core. Raises BrokenRulesError."""
    text = str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    match = _CORES.fullmatch(text)
    millicores = 0.0
    if match:
        millicores = float(match[3]) * 1000 if match[3] else int(match[1]) * (1 if match[2] else 1000)
    if not match or millicores < 1 or millicores % 1:
        refuse_value(value, 'a CPU amount such as "250m" (thousandths of a core) or "2" (cores)')
    return int(millicores)


def _quantity(parse: Callable[[Any], int], units: Mapping[str, int], pattern: str) -> tuple[Any, ...]:
    return (
        BeforeValidator(parse),
        PlainSerializer(lambda number: format_quantity(number, units), return_type=str),
        WithJsonSchema({"type": "string", "pattern": pattern}),
    )


def _minutes(value: Any) -> int:
    return parse_quantity(value, _MINUTES, "a duration with its unit, such as 30m, 8h or 2d")


def _hours(value: Any) -> int:
    return parse_quantity(value, _MINUTES, "a duration in whole hours with its unit, such as 24h or 2d", divisor=60)


def _mebibytes(value: Any) -> int:
    return parse_quantity(value, _MEBIBYTES, "an amount of memory such as 512Mi or 2Gi")


Minutes = Annotated[int, *_quantity(_minutes, _MINUTES, "^[0-9]+[mhd]$")]
Hours = Annotated[int, *_quantity(_hours, {"d": 24, "h": 1}, "^[0-9]+[mhd]$")]
Mebibytes = Annotated[int, *_quantity(_mebibytes, _MEBIBYTES, "^[0-9]+(Mi|Gi)$")]
Millicores = Annotated[
    int,
    BeforeValidator(parse_millicores),
    PlainSerializer(lambda number: f"{number}m", return_type=str),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": "^([0-9]+m?|[0-9]+[.][0-9]+)$"}, {"type": "number"}]}),
]
