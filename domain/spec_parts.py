"""The smaller parts of a specification: network, cluster, secrets, alarms, DNS, recovery, protection, rehearsal."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.declared import NAME_PATTERN, BrokenRule, Declared, refuse
from domain.quantity import Hours, Minutes
from domain.window import Schedule, Timezone

Part = Literal[
    "network", "key", "database", "database_replica", "media", "media_replica", "queue", "dead_letters", "cluster",
    "registry", "load_balancer", "secrets", "logs", "alarms", "dashboard", "notifications", "dns",
]  # fmt: skip


SlowSeconds = Annotated[int, Field(ge=0, le=3600, description="how many seconds the part takes, from 0 to 3600")]


class Network(Declared):
    """A private network of the environment's own."""

    zones: int = Field(2, ge=2, le=3, description="over how many availability zones it stretches, 2 or 3")
    nat_gateways: int = Field(1, ge=0, le=3, description="how many NAT gateways lead out of it, at most one a zone")

    @model_validator(mode="after")
    def _gateways_fit_zones(self) -> Self:
        if self.nat_gateways > self.zones:
            refuse(BrokenRule(("nat_gateways",), str(self.nat_gateways), f"at most one a zone, here {self.zones}"))
        return self


class OwnedCluster(Declared):
    """A Kubernetes control plane and node group that belong to this environment."""

    version: str = Field(pattern=r"^1\.[0-9]{2}$", description='a Kubernetes version in quotes, such as "1.34"')


class Cluster(Declared):
    """Where workloads run: exactly one of the three."""

    owned: OwnedCluster | None = Field(None, description="a cluster of the environment's own")
    of: str | None = Field(
        None, pattern=NAME_PATTERN, description="the name of the environment whose cluster gives a namespace"
    )
    context: str | None = Field(None, min_length=1, description="the name of a kubeconfig context")

    @model_validator(mode="after")
    def _is_exactly_one(self) -> Self:
        found = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(found) != 1:
            refuse(BrokenRule((), " and ".join(found) or "none of them", "exactly one of owned, of and context"))
        return self


class SecretReference(Declared):
    """Where a secret is kept. Its value never stands in a file."""

    backend: Literal["environment", "secrets-manager", "vault"] = Field(
        description="environment (made, empty, with the environment), secrets-manager or vault"
    )
    path: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9/_+=.@-]{1,256}$",
        description="the path of the secret in its backend, such as travelblog/payment-key",
    )
    version: str | None = Field(
        None, min_length=1, description="the version to read, in quotes; without one, the newest"
    )
    description: str = Field("", max_length=200, description="what the secret is for, in at most 200 characters")

    @model_validator(mode="after")
    def _path_fits_backend(self) -> Self:
        if self.backend == "environment" and (self.path or self.version):
            key = "path" if self.path else "version"
            refuse(BrokenRule((key,), f'"{getattr(self, key)}"', "none, because the environment makes this secret"))
        if self.backend != "environment" and not self.path:
            refuse(BrokenRule(("path",), "nothing", f"the path of the secret in {self.backend}"))
        if self.path and any(part in ("", ".", "..") for part in self.path.split("/")):
            refuse(BrokenRule(("path",), f'"{self.path}"', "a path without empty parts, `.` and `..`"))
        return self


class Alarms(Declared):
    """When somebody is told."""

    email: str | None = Field(
        None, pattern=r"^[^@\s]+@[^@\s]+\.[a-z]+$", description="the e-mail address that gets the alarms"
    )
    database_cpu_percent: int = Field(
        80, ge=1, le=100, description="the CPU use of the database that alarms, in percent from 1 to 100"
    )
    queue_age_seconds: int = Field(
        900, ge=60, le=86400, description="the age of the oldest message that alarms, in seconds from 60 to 86400"
    )
    error_5xx_count: int = Field(
        10, ge=1, le=100000, description="how many HTTP 5xx answers in five minutes alarm, from 1 to 100000"
    )


class Dns(Declared):
    """The zone under which the environment is found."""

    zone: str = Field(
        pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$",
        description="a domain name in small letters, such as staging.travelblog.example",
    )
    is_failover: bool = Field(False, description="true for failover records with a health check, else false")


class ScheduledDrill(Declared):
    """When the recovery is rehearsed without anybody asking for it."""

    schedule: Schedule = Field(description='five cron fields that say when it is drilled, such as "0 4 * * WED"')
    timezone: Timezone = Field("UTC", description="the IANA time zone of the schedule, such as Europe/Berlin")
    mode: Literal["graceful", "ungraceful"] = Field(
        "graceful", description="graceful (a planned switchover) or ungraceful (the primary is killed)"
    )


class Recovery(Declared):
    """Recovery objectives, what they are claimed for, and when they are rehearsed."""

    rto_minutes: Minutes = Field(alias="rto", description="how long recovery may take, such as 1h")
    rpo_minutes: Minutes = Field(alias="rpo", description="how much work may be lost, as a time such as 5m")
    backup_max_age_hours: Hours = Field(
        alias="backup_max_age", description="how old the newest proven backup may be, such as 24h"
    )
    scope: Literal["data", "pilot_light"] = Field(
        "data",
        description="what rto is claimed for: data (the data and its name) or pilot_light (services run there too)",
    )
    drill: ScheduledDrill | None = Field(None, description="when the recovery is rehearsed by itself; with none, never")
    failover: Literal["ask", "automatic"] = Field(
        "ask",
        description="ask (a person starts a failover) or automatic (the loss of the primary does, within rpo)",
    )
    failover_detection_seconds: int = Field(
        5,
        ge=1,
        le=300,
        description="how many seconds nobody reaches the primary before it counts as lost, from 1 to 300",
    )
    failover_cooldown_minutes: Minutes = Field(
        30, alias="failover_cooldown", description="how long after a failover none starts by itself, such as 30m"
    )


class Protection(Declared):
    """What may be taken away, and what stays after a teardown."""

    teardown: Literal["allowed", "refused"] = Field(description="allowed or refused")
    deletion_limit: int = Field(
        ge=0, le=1000, description="how many resources one plan may delete or replace, from 0 to 1000"
    )
    final_snapshot: bool = Field(description="true to keep a last snapshot of the database, else false")
    keep_media: bool = Field(
        description="true to copy the media to the account's vault before a teardown, false to delete them"
    )

    @property
    def is_protected(self) -> bool:
        """A protected environment is never torn down, and its database refuses deletion."""
        return self.teardown == "refused"


class Rehearsal(Declared):
    """Faults on order, for the cloud `terraform_data` alone."""

    fail: tuple[Part, ...] = Field((), description="the parts whose creation fails")
    slow_seconds: dict[Part, SlowSeconds] = Field({}, description="the parts that are slow, with their seconds")
