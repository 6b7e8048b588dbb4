"""What an account holds, and how that differs from what it held before.

A resource is the same one when type, region and id are the same. Something that is deleted already and only waits out
its period (a key, a secret) is pending; it is named apart from what stays by mistake.
"""

from collections.abc import Collection, Mapping

from pydantic import BaseModel, ConfigDict

Key = tuple[str, str, str]


class Resource(BaseModel):
    """One resource of an account. `type` is Terraform's, or `service:kind` where only the tagging API knows it.

    `region` is "global" for what has none; `tags` is None where nothing told them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    region: str
    id: str
    arn: str = ""
    name: str = ""
    tags: Mapping[str, str] | None = None
    is_pending_deletion: bool = False
    is_listed: bool = False
    is_tagged: bool = False

    @property
    def key(self) -> Key:
        """What makes it the same resource in two inventories."""
        return self.type, self.region, self.id

    def __str__(self) -> str:
        return f"{self.type} {self.name or self.id} ({self.region})"

    def is_one_of(self, names: Collection[str]) -> bool:
        """It is named there by id, ARN or name."""
        return any(word in names for word in (self.id, self.arn, self.name) if word)


class Inventory(BaseModel):
    """All resources of an account in some regions, by key. `types` were asked for, `unasked` could not be, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account_id: str
    regions: tuple[str, ...]
    types: tuple[str, ...] = ()
    resources: tuple[Resource, ...] = ()
    unasked: Mapping[str, str] = {}

    def by_key(self) -> dict[Key, Resource]:
        """The resources, each under its key."""
        return {resource.key: resource for resource in self.resources}

    def counts(self) -> dict[str, int]:
        """Number of resources of each type that has any."""
        found = [resource.type for resource in self.resources]
        return {kind: found.count(kind) for kind in sorted(set(found))}


class Difference(BaseModel):
    """How the account differs from before.

    `missing` was there and is gone or being deleted; `extra` is new and nobody expects it; `pending` is new and being
    deleted; `leftovers` is new and expected; `absent` was expected to stay and is not there. `unasked` types could not
    be compared, so a difference that has any is no proof.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    missing: tuple[Resource, ...] = ()
    extra: tuple[Resource, ...] = ()
    pending: tuple[Resource, ...] = ()
    leftovers: tuple[Resource, ...] = ()
    absent: tuple[str, ...] = ()
    unasked: Mapping[str, str] = {}

    @property
    def is_complete(self) -> bool:
        """Every type could be compared."""
        return not self.unasked

    @property
    def is_as_before(self) -> bool:
        """Nothing but what was expected, and what waits for its deletion, differs from before."""
        return not (self.missing or self.extra or self.absent)


def compare(before: Inventory, after: Inventory, expected_leftovers: Collection[str] = ()) -> Difference:
    """How `after` differs from `before`; a leftover is expected by its id, ARN or name.

    A key or secret that was pending before and is gone now is no difference: its period ended.
    """
    old, new = before.by_key(), after.by_key()
    gone = [old[key] for key in old if _is_missing(old[key], new.get(key))]
    added = [new[key] for key in new if key not in old]
    expected = [one for one in added if one.is_one_of(expected_leftovers)]
    others = [one for one in added if one not in expected]
    return Difference(
        missing=tuple(gone),
        extra=tuple(one for one in others if not one.is_pending_deletion),
        pending=tuple(one for one in others if one.is_pending_deletion),
        leftovers=tuple(expected),
        absent=tuple(sorted(name for name in expected_leftovers if not _is_there(name, after))),
        unasked=_uncompared(before, after),
    )


def _is_missing(old: Resource, new: Resource | None) -> bool:
    is_leaving = new is None or new.is_pending_deletion
    return is_leaving and not old.is_pending_deletion


def _is_there(name: str, inventory: Inventory) -> bool:
    return any(resource.is_one_of([name]) for resource in inventory.resources)


def _uncompared(before: Inventory, after: Inventory) -> dict[str, str]:
    once = set(before.types) ^ set(after.types)
    return {
        **dict.fromkeys(sorted(once), "only one of the two inventories asked for it"),
        **before.unasked,
        **after.unasked,
    }
