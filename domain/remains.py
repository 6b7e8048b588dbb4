"""What an account holds, held against what a state or a teardown says: what is missing, and what is left over."""

from collections.abc import Container, Iterable

from pydantic import BaseModel, ConfigDict

from domain.inventory import Inventory, Resource
from domain.state import StateResource

#: Types that a teardown leaves on purpose: a last snapshot of a database is the one thing that it makes.
KEPT_TYPES = frozenset({"aws_db_snapshot"})


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
    return tuple(
        resource.address
        for resource in resources
        if resource.resource_type in listed_types
        and resource.resource_type not in inventory.unasked
        and not {resource.resource_id, resource.arn} & words
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
