"""What a size means on AWS: instance classes, node types and counts. The one table, so that sizes stay comparable."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field, model_validator

from domain.declared import BrokenRule, Declared, refuse

Size = Literal["small", "medium", "large"]


class DatabaseCapacity(Declared):
    """The database server."""

    instance_class: str = Field(
        pattern=r"^db\.[a-z0-9-]+\.[a-z0-9]+$", description="an RDS instance class, such as db.t4g.medium"
    )
    storage_gib: int = Field(ge=20, le=65536, description="the storage in GiB, from 20 to 65536")


class NodeCapacity(Declared):
    """The nodes of an owned cluster."""

    type: str = Field(pattern=r"^[a-z0-9-]+\.[a-z0-9]+$", description="an EC2 instance type, such as m6i.large")
    count: int = Field(ge=1, le=100, description="how many nodes run at first, from 1 to 100")
    max_count: int = Field(ge=1, le=100, description="how many nodes may run at most, from 1 to 100")

    @model_validator(mode="after")
    def _max_count_covers_count(self) -> Self:
        if self.max_count < self.count:
            refuse(BrokenRule(("max_count",), str(self.max_count), f"at least the count of {self.count}"))
        return self


class Capacity(Declared):
    """Explicit capacity, in place of a size."""

    database: DatabaseCapacity | None = Field(None, description="the instance class and storage of the database")
    nodes: NodeCapacity | None = Field(None, description="the type and counts of the nodes of an owned cluster")


def _capacity(instance_class: str, storage_gib: int, node_type: str, count: int, max_count: int) -> Capacity:
    return Capacity(
        database=DatabaseCapacity(instance_class=instance_class, storage_gib=storage_gib),
        nodes=NodeCapacity(type=node_type, count=count, max_count=max_count),
    )


CAPACITY_OF_SIZE: Mapping[Size, Capacity] = MappingProxyType(
    {
        "small": _capacity("db.t4g.micro", 20, "t3.medium", 1, 2),
        "medium": _capacity("db.t4g.medium", 50, "t3.large", 2, 4),
        "large": _capacity("db.m6g.large", 200, "m6i.xlarge", 3, 9),
    }
)
