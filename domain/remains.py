"""What an account holds, held against what a state or a teardown says: what is missing, and what is left over."""

from collections import Counter
from collections.abc import Container, Iterable

from pydantic import BaseModel, ConfigDict

from domain.inventory import Inventory, Resource
from domain.state import StateResource

#: Types that a teardown leaves on purpose: a last snapshot of a database is the one thing that it makes.
KEPT_TYPES = frozenset({"aws_db_snapshot"})

#: Types that Terraform and AWS name differently, so that only their number can be compared; and why.
ONLY_COUNTED = {
    "aws_route53_record": "Terraform makes up an id of zone, name and type",
    "aws_sns_topic_subscription": "AWS lists one that is not confirmed yet without its ARN",
}


class Remains(BaseModel):
    """What an account holds of a removed environment: on purpose or still waiting for its deletion, and by mistake."""

    model_config = ConfigDict(frozen=True)

    expected: tuple[Resource, ...]
    unexpected: tuple[Resource, ...]


def find_missing(
    resources: Iterable[StateResource], inventory: Inventory, listed_types: Container[str]
) -> tuple[str, ...]:
    """Addresses of a state whose resource the account does not list, among the types that it can list."""
    words = {word for one in inventory.resources for word in (one.id, one.arn, one.name) if word}
    found = inventory.counts()
    asked = [
        one for one in resources if one.resource_type in listed_types and one.resource_type not in inventory.unasked
    ]
    wanted = Counter(resource.resource_type for resource in asked)
    return tuple(
        resource.address
        for resource in asked
        if (
            found.get(resource.resource_type, 0) < wanted[resource.resource_type]
            if resource.resource_type in ONLY_COUNTED
            else not {resource.resource_id, resource.arn} & words
        )
    )


def classify_remains(inventory: Inventory, environment: str, removed_ids: Container[str]) -> Remains:
    """Resources that carry the environment's tag, or an id that its teardown removed, by whether they may be there."""
    own = [
        resource
        for resource in inventory.resources
        if (resource.tags or {}).get("environment") == environment
        or resource.id in removed_ids
        or resource.arn in removed_ids
    ]
    expected = [one for one in own if one.is_pending_deletion or one.type in KEPT_TYPES]
    return Remains(expected=tuple(expected), unexpected=tuple(one for one in own if one not in expected))
