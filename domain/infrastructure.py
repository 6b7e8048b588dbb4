"""From a specification to the variables of a Terraform stack: the contract that every cloud's stack has.

Invariant: equal arguments give equal variables, so that a second apply of one generation has no changes.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.spec import EnvironmentSpec

Variables = dict[str, Any]


class StackAccount(BaseModel):
    """Where a stack is made: the account's number, the role to assume ("" for the ambient identity), its buckets.

    `session_name` is what the account's audit log calls us.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    role_arn: str
    state_bucket: str
    vault_bucket: str
    session_name: str = "terrarium"
    external_id: str = ""


def terraform_inputs(spec: EnvironmentSpec, generation: int, origin_run_id: str, account: StackAccount) -> Variables:
    """The content of terraform.tfvars.json: every variable of the contract, absent parts as null.

    `generation` counts the lives of the environment, from 1; `origin_run_id` is the run that began this one.
    """
    return {
        "environment": spec.name,
        "class": spec.cls,
        "generation": generation,
        "account": account.model_dump(),
        "region": spec.region,
        "recovery_region": spec.recovery_region or spec.region,
        "tags": _tags(spec, origin_run_id),
        "services": _services(spec),
        "network": spec.network.model_dump() if spec.network else None,
        "database": _database(spec),
        "media": _media(spec),
        "queue": spec.data.queue.model_dump() if spec.data.queue else None,
        "cluster": _cluster(spec),
        "load_balancer": {"green_weight": 0} if spec.has_load_balancer else None,
        "secrets": _secrets(spec),
        "alarms": spec.alarms.model_dump() if spec.alarms else None,
        "dns": spec.dns.model_dump() if spec.dns else None,
        "log_retention_days": spec.log_retention_days,
        "rehearsal": spec.rehearsal.model_dump() if spec.rehearsal else {"fail": [], "slow_seconds": {}},
    }


def _tags(spec: EnvironmentSpec, origin_run_id: str) -> Variables:
    return {
        "environment": spec.name,
        "owner": spec.owner,
        "cost-centre": spec.cost_centre,
        "managed-by": "terrarium",
        "run": origin_run_id,
    }


def _services(spec: EnvironmentSpec) -> Variables:
    keys = {"image", "replicas", "port", "health_path"}
    return {name: service.model_dump(include=keys) for name, service in spec.services.items()}


def _database(spec: EnvironmentSpec) -> Variables | None:
    database, capacity = spec.data.database, spec.capacity.database
    if database is None or capacity is None or database.is_pair:
        return None
    return {
        "engine_version": database.version,
        "instance_class": capacity.instance_class,
        "storage_gib": capacity.storage_gib,
        "has_replica": database.has_replica,
        "is_multi_zone": database.is_multi_zone,
        "backup_retention_days": database.backup_retention_days,
        "keep_final_snapshot": spec.protection.final_snapshot,
        "is_deletion_protected": spec.protection.is_protected,
    }


def _media(spec: EnvironmentSpec) -> Variables | None:
    if spec.data.media is None:
        return None
    return {**spec.data.media.model_dump(), "empty_on_destroy": not spec.protection.keep_media}


def _cluster(spec: EnvironmentSpec) -> Variables | None:
    owned, nodes = spec.cluster.owned, spec.capacity.nodes
    if owned is None or nodes is None:
        return None
    return {
        "version": owned.version,
        "node_type": nodes.type,
        "node_count": nodes.count,
        "node_max_count": nodes.max_count,
    }


def _secrets(spec: EnvironmentSpec) -> Variables:
    """Only those that the environment makes; the others are references to what somebody else keeps."""
    return {
        name: {"description": secret.description}
        for name, secret in spec.secrets.items()
        if secret.backend == "environment"
    }
