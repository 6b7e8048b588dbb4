"""The words of the table: a list call, and how a Terraform resource type is read from one or more of them.

All expressions are JMESPath over what the API answers. What AWS makes by itself is told by a property that it alone
can set (`made_by_aws`, `aws_owns`), never by a list of ids.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Scope = Literal["regional", "global", "everywhere"]


@dataclass(frozen=True)
class Call:
    """One list operation. `items` reads its rows; `given` fills an argument from each row of the call before it."""

    operation: str
    items: str
    given: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Owner:
    """A call whose rows belong to AWS, and the field by which a listed row belongs to one of them."""

    call: Call
    field: str


@dataclass(frozen=True)
class Listing:
    """How resources of one type are listed. `id` is Terraform's, so that a state and a list speak of the same one.

    `calls` run one inside the other, as listeners are listed per load balancer; a row keeps the fields of the rows
    above it. `id_prefix` is what the list puts before the id. `kind` is the service and resource type in its ARN, empty
    where it has no ARN. `arn` reads the ARN, or is its form where the list does not tell it; without it, the ARN is
    made of `kind` and the last part of the id. `region` reads the region of a row that is listed globally. Scope
    "everywhere" is a global resource that each region lists.
    """

    service: str
    calls: tuple[Call, ...]
    id: str
    id_prefix: str = ""
    kind: str = ""
    arn: str = ""
    name: str = ""
    scope: Scope = "regional"
    region: str = ""
    made_by_aws: str = "`false`"
    aws_owns: Owner | None = None
    is_gone: str = "`false`"
    is_pending: str = "`false`"


@dataclass(frozen=True)
class Part:
    """A Terraform type that is no resource of its own: what it is part of (a type of the table), and why."""

    of: str
    reason: str


def listed(service: str, operation: str, items: str, id: str, **more: Any) -> Listing:  # noqa: A002 - the field's name
    """A listing that takes one call without arguments."""
    return Listing(service, (Call(operation, items),), id=id, **more)


def ec2(operation: str, items: str, id: str, kind: str, **more: Any) -> Listing:  # noqa: A002 - the field's own name
    """A listing of EC2 with one call; its ARN is made of kind and id."""
    return listed("ec2", operation, items, id, kind=f"ec2:{kind}", **more)
