"""What a dead Terraform left: imported where one address can be meant, deleted where it holds no data, else told."""

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.inventory import Inventory, Resource
from domain.orphans import DELETABLE, Orphan, Owner, decide_orphans, list_unfinished
from domain.progress import Event
from domain.state import StateResource

AT = datetime(2026, 11, 24, tzinfo=UTC)
OWNER = Owner("dev", "run-1")
TAGS = {"environment": "dev", "run": "run-1"}


def make_event(
    address: str, kind: str = "started", action: str = "create", resource_id: str = "", at: int = 0
) -> Event:
    """An event of an apply."""
    resource_type = address.rpartition(".")[0].rpartition(".")[2]
    moment = AT + timedelta(seconds=at)
    return Event.model_validate(
        {
            "at": moment,
            "kind": kind,
            "address": address,
            "resource_type": resource_type,
            "action": action,
            "resource_id": resource_id,
        }
    )


def make_state(*addresses: str) -> tuple[StateResource, ...]:
    """A state with these addresses."""
    return tuple(
        StateResource(address=it, resource_type="", resource_id=f"id of {it}", arn="", depends_on=frozenset())
        for it in addresses
    )


def make_inventory(*resources: Resource) -> Inventory:
    """An account that was asked for the types of its resources."""
    types = tuple(sorted({one.type for one in resources} | {"aws_vpc", "aws_subnet", "aws_eip"}))
    return Inventory(account_id="1", regions=("eu-central-1",), types=types, resources=resources)


def make_resource(kind: str, resource_id: str, **more: Any) -> Resource:
    """A resource with the environment's tags."""
    return Resource.model_validate({"type": kind, "region": "eu-central-1", "id": resource_id, "tags": TAGS} | more)


def test_what_the_state_has_is_finished() -> None:
    """So is what was deleted again, what was only planned or changed, and what is made again to no effect."""
    events = [
        make_event("aws_vpc.known", "completed", resource_id="vpc-1"),
        make_event("aws_vpc.gone", "completed", resource_id="vpc-2"),
        make_event("aws_vpc.gone", "completed", "delete", at=1),
        make_event("aws_vpc.planned", "planned"),
        make_event("aws_vpc.changed", "started", "update"),
        make_event("aws_sns_topic_policy.set", "completed", resource_id="arn"),
    ]
    assert list_unfinished(events, make_state("aws_vpc.known")) == ()


def test_the_newest_event_of_an_address_counts() -> None:
    """Begun by one run and made by the next: its id is known."""
    made = make_event("aws_vpc.this", "completed", resource_id="vpc-1", at=1)
    assert list_unfinished([make_event("aws_vpc.this"), made], ()) == (made,)


def test_what_was_made_is_imported_by_its_id() -> None:
    """As long as the account has it; what somebody removed is made anew."""
    made = [make_event(f"aws_vpc.{it}", "completed", resource_id=f"vpc-{it}") for it in ("a", "b")]
    found = decide_orphans(made, (), make_inventory(make_resource("aws_vpc", "vpc-a")), OWNER)
    assert found == (Orphan(action="import", resource_type="aws_vpc", resource_id="vpc-a", address="aws_vpc.a"),)


def test_what_the_account_does_not_list_is_imported_by_the_told_id() -> None:
    """A rule of a group has no list of its own."""
    made = make_event("aws_security_group_rule.in", "completed", resource_id="sgr-1")
    (orphan,) = decide_orphans([made], (), make_inventory(), OWNER)
    assert (orphan.action, orphan.resource_id) == ("import", "sgr-1")


def test_what_was_begun_is_found_by_its_tags() -> None:
    """The only one of its type for the only address; others' and what is being deleted are none of ours."""
    others = [
        make_resource("aws_vpc", "vpc-other", tags={"environment": "qa", "run": "run-9"}),
        make_resource("aws_vpc", "vpc-before", tags={"environment": "dev", "run": "run-0"}),
        make_resource("aws_vpc", "vpc-pending", is_pending_deletion=True),
        make_resource("aws_vpc", "vpc-untagged", tags=None),
    ]
    found = decide_orphans(
        [make_event("aws_vpc.this")], (), make_inventory(make_resource("aws_vpc", "vpc-1"), *others), OWNER
    )
    assert [(one.action, one.resource_id, one.address) for one in found] == [("import", "vpc-1", "aws_vpc.this")]


def test_what_was_begun_and_not_made_needs_nothing() -> None:
    """Terraform was killed before the call reached the account."""
    assert decide_orphans([make_event("aws_vpc.this")], (), make_inventory(), OWNER) == ()


def test_several_of_a_type_are_told_apart_by_their_names() -> None:
    """A subnet's name ends with its block and its key."""
    begun = [make_event(f'module.network[0].aws_subnet.{it}["b"]') for it in ("private", "public")]
    inventory = make_inventory(
        make_resource("aws_subnet", "subnet-1", name="terrarium-dev-public-b"),
        make_resource("aws_subnet", "subnet-2", name="terrarium-dev-private-b"),
    )
    found = {one.address: one.resource_id for one in decide_orphans(begun, (), inventory, OWNER)}
    assert found == {begun[0].address: "subnet-2", begun[1].address: "subnet-1"}


def test_what_belongs_to_no_address_is_deleted_or_told() -> None:
    """An address holds no data and goes; a network may have things in it, so a person looks."""
    for kind, action in (("aws_eip", "delete"), ("aws_vpc", "tell")):
        pair = make_resource(kind, "one"), make_resource(kind, "two")
        found = decide_orphans([make_event(f"{kind}.this")], (), make_inventory(*pair), OWNER)
        assert [(one.action, one.resource_id) for one in found] == [(action, "one"), (action, "two")]


def test_nothing_that_may_hold_data_is_deleted() -> None:
    """No bucket, database, queue, secret, key, registry, zone or log group is among the types that are deleted."""
    words = (
        "bucket",
        "db_",
        "queue",
        "secret",
        "kms",
        "ecr",
        "zone",
        "log_group",
        "efs",
        "volume",
        "snapshot",
        "table",
    )
    assert [kind for kind in DELETABLE if any(word in kind for word in words)] == []


def test_a_name_stands_in_for_tags_that_nobody_told() -> None:
    """Only where it is exactly the environment's: one that begins alike may be another environment's."""
    begun = [make_event("aws_kms_alias.this")]
    names = {"alias/terrarium-dev": True, "/terrarium/terrarium-dev/services": True, "terrarium/dev/key": True}
    for name, is_ours in (names | {"alias/terrarium-dev-2": False, "terrarium/dev-2/key": False}).items():
        listed = make_inventory(make_resource("aws_kms_alias", name, name=name, tags=None))
        assert bool(decide_orphans(begun, (), listed, OWNER)) is is_ours
