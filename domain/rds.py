"""What RDS tells of its instances and snapshots, how ours are named and tagged, and whose they are.

Invariant: only what carries the tags of its environment and its purpose is ours: nothing else is ever deleted.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.spec import EnvironmentSpec

Purpose = Literal["backup", "restore-test", "drill"]
AVAILABLE = "available"
#: States that end by no waiting. What is in any other one is still on its way.
BROKEN = frozenset(
    {"failed", "incompatible-restore", "incompatible-network", "incompatible-option-group", "incompatible-parameters"}
    | {"incompatible-credentials", "restore-error", "storage-full", "stopped", "insufficient-capacity"}
    | {"inaccessible-encryption-credentials", "inaccessible-encryption-credentials-recoverable"}
)


class Snapshot(BaseModel):
    """A manual snapshot of an instance. `storage_gib` is what was allocated: AWS does not tell its own size."""

    model_config = ConfigDict(frozen=True)

    id: str
    arn: str
    instance_id: str
    status: str
    progress_percent: int
    is_encrypted: bool
    engine_version: str
    storage_gib: int
    created_at: datetime | None
    tags: dict[str, str] = {}


class Instance(BaseModel):
    """A database instance. `source` names the one that it is a read replica of, empty for none."""

    model_config = ConfigDict(frozen=True)

    id: str
    arn: str
    status: str
    engine_version: str
    instance_class: str
    is_encrypted: bool
    is_public: bool
    endpoint: str = ""
    subnet_group: str = ""
    security_groups: tuple[str, ...] = ()
    kms_key: str = ""
    source: str = ""
    tags: dict[str, str] = {}


def is_settled(status: str) -> bool:
    """Whether waiting changes nothing any more."""
    return status == AVAILABLE or status in BROKEN


def name_instance(environment: str) -> str:
    """The environment's own database, as its Terraform names it."""
    return f"terrarium-{environment}"


def name_replica(environment: str) -> str:
    """Its read replica in the recovery region, as its Terraform names it."""
    return f"{name_instance(environment)}-replica"


def name_snapshot(backup_id: str) -> str:
    """RDS keeps names in small letters."""
    return f"terrarium-{backup_id}".lower()


def name_temporary(environment: str, purpose: Purpose, run_id: str) -> str:
    """What a run brings for itself; the same name for the same run."""
    return f"{name_instance(environment)}-{purpose}-{run_id[:8]}"


def list_tags(spec: EnvironmentSpec, purpose: Purpose, run_id: str) -> dict[str, str]:
    """By these tags it is found again, whoever made it has died; owner and cost centre are for the bill."""
    return {
        "environment": spec.name,
        "owner": spec.owner,
        "cost-centre": spec.cost_centre,
        "managed-by": "terrarium",
        "run": run_id,
        "purpose": purpose,
    }


def is_ours(tags: Mapping[str, str], environment: str, purpose: Purpose) -> bool:
    """Whether something was made by Terrarium for this environment and purpose."""
    wanted = {"environment": environment, "managed-by": "terrarium", "purpose": purpose}
    return all(tags.get(key) == value for key, value in wanted.items())
