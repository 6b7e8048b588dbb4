"""The supervisor's configuration, as text: it has a quoting of its own."""

from collections.abc import Mapping


def render_section(name: str, values: Mapping[str, object]) -> str:
    """One section; `%` begins an expansion there, so it is doubled."""
    lines = [f"{key}={str(value).replace('%', '%%')}" for key, value in values.items()]
    return "\n".join([f"[{name}]", *lines, ""])


def render_environment(environment: Mapping[str, str]) -> str:
    """Variables of a program, in an order that does not change."""
    return ",".join(f"{key}={_quote(value)}" for key, value in sorted(environment.items()))


def _quote(value: str) -> str:
    """The supervisor's quoting knows no escapes: a value stands between quotes of the kind that it does not have."""
    quote = "'" if '"' in value else '"'
    return f"{quote}{value}{quote}"
