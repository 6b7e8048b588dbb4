"""docker/compose.yaml as Docker reads it: merged, with its variables put in. https://docs.docker.com/reference/compose-file/"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from blocks.settings import CHECKOUT

FILE = CHECKOUT / "docker" / "compose.yaml"
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


@dataclass(frozen=True)
class Service:
    """One service: what runs, in which environment, after which others, and when it is healthy."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    needs: Mapping[str, str]
    test: tuple[str, ...]
    body: Mapping[str, Any]


def read_compose() -> dict[str, Any]:
    """The file, merged, with its variables as they stand there."""
    return dict(YAML(typ="safe").load(FILE))


def list_variables() -> dict[str, str | None]:
    """The variables that the file asks for, with their default; None where there is none."""
    return {name: default if kind == "-" else None for name, kind, default in VARIABLE.findall(FILE.read_text())}


def read_services(variables: Mapping[str, str]) -> dict[str, Service]:
    """Every service by name, each after those that it needs. KeyError for a variable without value and default."""
    services = {name: _read_service(name, body, variables) for name, body in read_compose()["services"].items()}
    ordered: dict[str, Service] = {}
    while len(ordered) < len(services):
        ordered |= {name: it for name, it in services.items() if it.needs.keys() <= ordered.keys()}
    return ordered


def _read_service(name: str, body: Mapping[str, Any], variables: Mapping[str, str]) -> Service:
    environment = {key: _put_in(str(value), variables) for key, value in body.get("environment", {}).items()}
    return Service(
        name=name,
        command=tuple(body["command"]),
        environment=environment,
        needs={other: it["condition"] for other, it in body.get("depends_on", {}).items()},
        test=tuple(body.get("healthcheck", {}).get("test", ["NONE"])[1:]),
        body=body,
    )


def _put_in(text: str, variables: Mapping[str, str]) -> str:
    def choose(match: re.Match[str]) -> str:
        name, kind, default = match.groups()
        return variables.get(name) or (default if kind == "-" else variables[name])

    return VARIABLE.sub(choose, text)
