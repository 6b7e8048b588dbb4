"""The services of an environment and the order in which they depend on each other.

Invariant: every dependency is a service or a data part of the same environment, and none leads back to its start.
"""

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from domain.declared import NAME_PATTERN, BrokenRule, Declared, quote, refuse
from domain.quantity import Mebibytes, Millicores

ServiceName = Annotated[
    str,
    StringConstraints(pattern=NAME_PATTERN, max_length=20),
    Field(description="a service name of at most 20 small letters, digits and single hyphens"),
]


class Resources(Declared):
    """An amount of CPU and memory for one replica."""

    cpu_millicores: Millicores = Field(alias="cpu", description='an amount of CPU, such as "250m" or "2"')
    memory_mebibytes: Mebibytes = Field(alias="memory", description="an amount of memory, such as 512Mi or 2Gi")


class Service(Declared):
    """One deployable service."""

    image: str = Field(
        pattern=r"^[a-z0-9][a-z0-9./:_-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$",
        description="a container image with its tag or digest, such as registry.example/travelblog/web:1.4.0",
    )
    replicas: int = Field(ge=0, le=100, description="how many copies run, from 0 to 100")
    port: int | None = Field(None, ge=1, le=65535, description="the TCP port it listens on, from 1 to 65535")
    requests: Resources = Field(description="the CPU and memory that each replica is sure to get")
    limits: Resources = Field(description="the CPU and memory that no replica may exceed")
    health_path: str | None = Field(
        None, pattern=r"^/[!-~]*$", description="the HTTP path that answers 200 when it is healthy, such as /healthz"
    )
    depends_on: tuple[str, ...] = Field((), description="the services and data parts that must be there first")

    @field_validator("limits")
    @classmethod
    def _limits_cover_requests(cls, limits: Resources, info: ValidationInfo) -> Resources:
        requests = info.data.get("requests", limits)
        rules = []
        if limits.cpu_millicores < requests.cpu_millicores:
            allowed = f"at least the requested {requests.cpu_millicores}m"
            rules.append(BrokenRule(("cpu",), f"{limits.cpu_millicores}m", allowed))
        if limits.memory_mebibytes < requests.memory_mebibytes:
            allowed = f"at least the requested {requests.memory_mebibytes}Mi"
            rules.append(BrokenRule(("memory",), f"{limits.memory_mebibytes}Mi", allowed))
        refuse(*rules)
        return limits

    @model_validator(mode="after")
    def _health_path_has_port(self) -> Self:
        if self.health_path and self.port is None:
            refuse(BrokenRule(("health_path",), f'"{self.health_path}" without a port', "a health path beside a port"))
        return self


def check_dependencies(services: Mapping[str, Service], data_parts: Collection[str]) -> None:
    """Raise BrokenRulesError for every unknown dependency and every name that two things share, or for a cycle."""
    known = {*services, *data_parts}
    refuse(
        *(BrokenRule((name,), quote(name), "a name that no data part has") for name in services if name in data_parts)
    )
    rules = [
        BrokenRule((name, "depends_on", index), quote(needed), _list_words(known - {name}), tuple(sorted(known)))
        for name, service in services.items()
        for index, needed in enumerate(service.depends_on)
        if needed not in known or needed == name
    ]
    refuse(*rules)
    try:
        TopologicalSorter({name: service.depends_on for name, service in services.items()}).prepare()
    except CycleError as error:
        cycle = list(reversed(error.args[1]))
        refuse(BrokenRule((cycle[0], "depends_on"), f"the cycle {' → '.join(cycle)}", "dependencies without a cycle"))


def _list_words(words: Collection[str]) -> str:
    return f"one of {', '.join(sorted(words))}" if words else "no dependency, because there is nothing else here"
