"""What a Terraform plan would change, counted and hashed: the thing that is shown, limited and approved."""

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Action = Literal["add", "change", "replace", "destroy"]


class Counts(BaseModel):
    """Resources to add, change in place and destroy; a replacement counts as one added and one destroyed."""

    model_config = ConfigDict(frozen=True)

    add: int = 0
    change: int = 0
    destroy: int = 0

    @property
    def is_empty(self) -> bool:
        """Nothing would change."""
        return not (self.add or self.change or self.destroy)


class AttributeChange(BaseModel):
    """One attribute of a resource before and after, as text; what is sensitive is `(sensitive)`."""

    model_config = ConfigDict(frozen=True)

    key: str
    before: str
    after: str
    forces_replacement: bool = False


class Change(BaseModel):
    """One resource that a plan touches. `reason` is Terraform's action reason, empty where it gives none.

    `differences` are attributes that a change or a replacement is made for.
    """

    model_config = ConfigDict(frozen=True)

    address: str
    resource_type: str
    action: Action
    reason: str = ""
    differences: tuple[AttributeChange, ...] = ()


class Changes(BaseModel):
    """All resources that a plan touches, by address, and the digest of the Terraform modules it was made with."""

    model_config = ConfigDict(frozen=True)

    items: tuple[Change, ...] = ()
    modules: str = ""

    @property
    def counts(self) -> Counts:
        """The three numbers that Terraform's own summary gives."""
        actions = [item.action for item in self.items]
        replaced = actions.count("replace")
        return Counts(
            add=actions.count("add") + replaced,
            change=actions.count("change"),
            destroy=actions.count("destroy") + replaced,
        )

    @property
    def lost(self) -> tuple[Change, ...]:
        """What a plan would delete or replace: what the deletion limit counts."""
        return tuple(item for item in self.items if item.action in ("destroy", "replace"))

    def digest(self) -> str:
        """Sha256 over the canonical JSON of the changes: equal for equal changes, in any order."""
        rows = sorted(item.model_dump_json() for item in self.items)
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def read_changes(planned: list[dict[str, Any]]) -> Changes:
    """Changes of a plan from the `planned_change` messages of `terraform plan -json`.

    Source: Terraform's machine-readable UI, message type `planned_change` (change.resource.addr,
    change.resource.resource_type; change.action create, update, replace, delete; the others change no resource).
    """
    actions: dict[str, Action] = {"create": "add", "update": "change", "replace": "replace", "delete": "destroy"}
    items = [
        Change(
            address=message["change"]["resource"]["addr"],
            resource_type=message["change"]["resource"]["resource_type"],
            action=actions[message["change"]["action"]],
            reason=message["change"].get("reason", ""),
        )
        for message in planned
        if message["change"]["action"] in actions
    ]
    return Changes(items=tuple(sorted(items, key=lambda item: item.address)))
