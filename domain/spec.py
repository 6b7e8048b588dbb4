"""What an environment should be: its specification, resolved (a file merged over its class) and immutable.

Invariant: rules between fields are field validators that read the fields declared above them, so that one pass finds
the faults of all fields; a validator of the whole would wait until all are right.
"""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator

from domain.capacity import CAPACITY_OF_SIZE, Capacity, Size
from domain.data_parts import DATA_PARTS, Data
from domain.declared import NAME_PATTERN, BrokenRule, Declared, quote, refuse, refuse_value
from domain.quantity import Minutes
from domain.regions import REGIONS
from domain.service import Service, ServiceName, check_dependencies
from domain.spec_parts import (
    Alarms,
    Cluster,
    Dns,
    Network,
    Protection,
    Recovery,
    Rehearsal,
    SecretReference,
)
from domain.window import MaintenanceWindow


def check_region(region: str) -> str:
    """The region itself where AWS has it. Raises BrokenRulesError."""
    if region not in REGIONS:
        refuse_value(region, "an AWS region, such as eu-central-1", REGIONS)
    return region


Region = Annotated[str, AfterValidator(check_region)]
SecretName = Annotated[
    str,
    StringConstraints(pattern=NAME_PATTERN, max_length=32),
    Field(description="a secret's name of at most 32 small letters, digits and single hyphens"),
]


class EnvironmentSpec(Declared):
    """One environment. `model_validate_json(spec.canonical_json())` gives an equal specification."""

    name: str = Field(
        pattern=NAME_PATTERN,
        max_length=18,  # S3 allows 63 characters to a bucket's name; 45 are for our prefix, the account and the region
        description="a name of at most 18 small letters, digits and single hyphens that begins with a letter",
    )
    cls: str = Field(alias="class", description="the class whose defaults this environment shares")
    cloud: Literal["aws", "terraform_data"] = Field(
        description="aws, or terraform_data for a rehearsal that makes nothing"
    )
    account: str = Field(
        pattern=NAME_PATTERN, description="the name of the account block it is made in, such as nonproduction"
    )
    region: Region = Field(description="the AWS region it is made in, such as eu-central-1")
    recovery_region: Region | None = Field(None, description="another AWS region, for replicas, such as eu-west-1")
    owner: str = Field(
        pattern=r"^[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+\.[a-z]+$",
        description="the e-mail address of the people who answer for it, such as platform@travelblog.example",
    )
    cost_centre: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,31}$",
        description="the cost centre that pays: at most 32 letters, digits and hyphens, such as TB-100",
    )
    budget_usd_monthly: int = Field(ge=0, le=10_000_000, description="the budget of a month in whole US dollars")
    protection: Protection = Field(description="what may be taken away, and what stays after a teardown")
    recovery: Recovery = Field(description="recovery objectives: rto, rpo and backup_max_age")
    ttl_minutes: Minutes | None = Field(
        None, alias="ttl", description="how long it lives before it is torn down, such as 8h"
    )
    ttl_warning_minutes: Minutes | None = Field(
        alias="ttl_warning",
        default_factory=lambda fields: _warning_minutes(fields.get("ttl_minutes")),
        description="how long before its end it warns, such as 30m; a quarter of ttl, at most 1h, where none is given",
    )
    network: Network | None = Field(
        None, description="a network of its own; database, cluster and load balancer need it"
    )
    cluster: Cluster = Field(description="where its workloads run: owned, of or context")
    has_load_balancer: bool = Field(
        False,
        alias="load_balancer",
        description="true for a load balancer with blue and green target groups, else false",
    )
    data: Data = Field(Data(), validate_default=True, description="its database, media bucket, queue and cache")
    explicit_capacity: Capacity | None = Field(
        None, alias="capacity", description="explicit capacity, in place of a size"
    )
    size: Size | None = Field(None, validate_default=True, description="small, medium or large")
    services: dict[ServiceName, Service] = Field({}, description="its services by name")
    secrets: dict[SecretName, SecretReference] = Field({}, description="its secrets by name, as references")
    log_retention_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731] = Field(
        30,
        description="how many days logs are kept (CloudWatch knows 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, "
        "400, 545 and 731)",
    )
    alarms: Alarms | None = Field(None, description="when somebody is told")
    dns: Dns | None = Field(None, description="the DNS zone under which it is found")
    maintenance_windows: tuple[MaintenanceWindow, ...] = Field(
        (), description="the times in which changes are welcome; with none, always"
    )
    rehearsal: Rehearsal | None = Field(None, description="faults on order, for the cloud terraform_data alone")

    @property
    def capacity(self) -> Capacity:
        """The explicit capacity, or what the size stands for."""
        return self.explicit_capacity or CAPACITY_OF_SIZE[self.size or "small"]

    def canonical_json(self) -> str:
        """The specification as JSON with sorted keys and the spelling of the YAML files; absent keys are left out."""
        content = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def digest(self) -> str:
        """Sha256 of the canonical JSON, in hexadecimal digits."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()

    @field_validator("recovery_region")
    @classmethod
    def _recovery_region_is_another(cls, region: str | None, info: ValidationInfo) -> str | None:
        if region and region == info.data.get("region"):
            refuse_value(region, "a region other than the environment's own")
        return region

    @field_validator("ttl_minutes")
    @classmethod
    def _ttl_spares_protected(cls, ttl: int | None, info: ValidationInfo) -> int | None:
        protection = info.data.get("protection")
        if ttl and protection and protection.is_protected:
            refuse(BrokenRule((), "a lifetime", "none, because protection.teardown is refused"))
        return ttl

    @field_validator("ttl_warning_minutes")
    @classmethod
    def _warning_is_shorter(cls, warning: int | None, info: ValidationInfo) -> int | None:
        ttl = info.data.get("ttl_minutes")
        if warning and "ttl_minutes" in info.data and warning >= (ttl or 0):
            allowed = f"less than the ttl of {ttl} minutes" if ttl else "none, because there is no ttl"
            refuse(BrokenRule((), f"{warning} minutes", allowed))
        return warning

    @field_validator("cluster")
    @classmethod
    def _cluster_is_reachable(cls, cluster: Cluster, info: ValidationInfo) -> Cluster:
        if cluster.of and cluster.of == info.data.get("name"):
            refuse(BrokenRule(("of",), quote(cluster.of), "another environment, or `owned`"))
        if cluster.owned and not _has(info, "network"):
            refuse(BrokenRule(("owned",), "a cluster without a network", "a cluster beside `network`"))
        return cluster

    @field_validator("has_load_balancer")
    @classmethod
    def _load_balancer_has_network(cls, is_wanted: bool, info: ValidationInfo) -> bool:
        if is_wanted and not _has(info, "network"):
            refuse(BrokenRule((), "true without a network", "true beside `network`, or false"))
        return is_wanted

    @field_validator("data")
    @classmethod
    def _data_has_its_ground(cls, data: Data, info: ValidationInfo) -> Data:
        rules = []
        if data.database and not _has(info, "network"):
            rules.append(BrokenRule(("database",), "a database without a network", "a database beside `network`"))
        for name in ("database", "media"):
            part = getattr(data, name)
            if part and part.has_replica and not _has(info, "recovery_region"):
                allowed = "true beside `recovery_region`, or false"
                rules.append(BrokenRule((name, "has_replica"), "true without a recovery region", allowed))
        if data.has_pair and not _has(info, "recovery_region"):
            allowed = "postgres beside `recovery_region`, where its standby is, or rds"
            rules.append(BrokenRule(("database", "provider"), "postgres without a recovery region", allowed))
        recovery = info.data.get("recovery")
        if recovery and recovery.failover == "automatic" and not data.has_pair:
            found = "rds" if data.database else "no database"
            allowed = "postgres, or recovery.failover: ask, because only a pair's old primary can be proved fenced"
            rules.append(BrokenRule(("database", "provider"), f"{found} beside recovery.failover: automatic", allowed))
        refuse(*rules)
        return data

    @field_validator("explicit_capacity")
    @classmethod
    def _capacity_is_complete(cls, capacity: Capacity | None, info: ValidationInfo) -> Capacity | None:
        data, cluster = info.data.get("data"), info.data.get("cluster")
        rules = []
        if capacity and data and data.database and not capacity.database:
            allowed = "instance_class and storage_gib, because there is a database"
            rules.append(BrokenRule(("database",), "nothing", allowed))
        if capacity and cluster and cluster.owned and not capacity.nodes:
            allowed = "type, count and max_count, because the cluster is owned"
            rules.append(BrokenRule(("nodes",), "nothing", allowed))
        refuse(*rules)
        return capacity

    @field_validator("size")
    @classmethod
    def _size_or_capacity(cls, size: Size | None, info: ValidationInfo) -> Size | None:
        if "explicit_capacity" in info.data and bool(size) == bool(info.data["explicit_capacity"]):
            found = "both size and capacity" if size else "neither size nor capacity"
            refuse(BrokenRule((), found, "exactly one of size (small, medium, large) and capacity"))
        return size

    @field_validator("services")
    @classmethod
    def _dependencies_exist(cls, services: dict[str, Service], info: ValidationInfo) -> dict[str, Service]:
        data = info.data.get("data")
        check_dependencies(services, data.present if data else DATA_PARTS)
        return services

    @field_validator("secrets")
    @classmethod
    def _secret_names_are_free(cls, secrets: dict[str, SecretReference]) -> dict[str, SecretReference]:
        taken = secrets.get("database")
        if taken and taken.backend == "environment":
            allowed = "another name, because the database's own password has this one"
            refuse(BrokenRule(("database",), quote("database"), allowed))
        return secrets

    @field_validator("dns")
    @classmethod
    def _dns_has_load_balancer(cls, dns: Dns | None, info: ValidationInfo) -> Dns | None:
        if dns and info.data.get("has_load_balancer") is False:
            refuse(BrokenRule((), "a zone without a load balancer", "a zone beside `load_balancer: true`"))
        return dns

    @field_validator("rehearsal")
    @classmethod
    def _rehearsal_is_no_cloud(cls, rehearsal: Rehearsal | None, info: ValidationInfo) -> Rehearsal | None:
        if rehearsal and info.data.get("cloud") == "aws":
            refuse(BrokenRule((), "a rehearsal on aws", "a rehearsal where cloud is terraform_data"))
        return rehearsal


def _warning_minutes(ttl_minutes: Any) -> int | None:
    return min(60, max(1, ttl_minutes // 4)) if ttl_minutes else None


def _has(info: ValidationInfo, field: str) -> bool:
    """Whether an earlier field is there; one that is itself faulty counts as there, its own fault is enough."""
    return field not in info.data or info.data[field] is not None
