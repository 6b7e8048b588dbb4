"""The whole table, and which of its lines a set of Terraform types needs."""

from collections.abc import Iterable

from blocks.inventory.listing import Listing
from blocks.inventory.network import NAMES, TRAFFIC, VPC
from blocks.inventory.operations import CLUSTER, RIGHTS, WATCHING
from blocks.inventory.parts import NOT_IN_ACCOUNT, PARTS
from blocks.inventory.storage import GUARDS, STORES
from domain.errors import PermanentError

LISTINGS: dict[str, Listing] = {**VPC, **TRAFFIC, **NAMES, **GUARDS, **STORES, **RIGHTS, **CLUSTER, **WATCHING}

# What AWS makes beside a resource of the key's type, and may leave behind when that goes.
COMPANIONS: dict[str, tuple[str, ...]] = {
    "aws_db_instance": ("aws_db_snapshot", "aws_cloudwatch_log_group"),
    "aws_eks_cluster": ("aws_security_group", "aws_cloudwatch_log_group", "aws_lb", "aws_elb"),
    "aws_eks_node_group": ("aws_autoscaling_group", "aws_launch_template", "aws_instance"),
}

# What the emulator does not answer, and why that is no hole there. A test fails when it does answer.
NOT_ON_EMULATOR: dict[str, str] = {
    "aws_eks_addon": "the emulator has no call for a cluster's add-ons, so none can be made there",
}


def choose_listings(resource_types: Iterable[str]) -> dict[str, Listing]:
    """The lines of the table that list these Terraform types and what AWS makes beside them, by type.

    Raises PermanentError for a type that the table does not know: it would be counted as absent.
    """
    types = {_find_type(kind) for kind in resource_types if kind not in NOT_IN_ACCOUNT}
    types |= {companion for kind in types for companion in COMPANIONS.get(kind, ())}
    return {kind: LISTINGS[kind] for kind in sorted(types)}


def _find_type(resource_type: str) -> str:
    found = PARTS[resource_type].of if resource_type in PARTS else resource_type
    if found not in LISTINGS:
        raise PermanentError(
            f"The inventory does not know the resource type {resource_type}.",
            "Add its list call to a table of blocks/inventory, or say what it is part of in blocks/inventory/parts.py.",
        )
    return found
