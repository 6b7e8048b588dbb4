"""What is decided about inventories, and that the table of list calls is whole."""

import re
from collections.abc import Iterator
from pathlib import Path

import jmespath
import pytest

from blocks.inventory.listing import Call, Listing
from blocks.inventory.listings import COMPANIONS, LISTINGS, NOT_ON_EMULATOR, choose_listings
from blocks.inventory.parts import NOT_IN_ACCOUNT, PARTS
from blocks.inventory.tagged import join_tags
from domain.errors import PermanentError
from domain.inventory import Inventory, Resource, compare

TERRAFORM = Path(__file__).parents[2] / "infra" / "terraform"
REGION = "eu-central-1"


def resource(name: str, kind: str = "aws_vpc", **more: object) -> Resource:
    """A resource of the test account."""
    return Resource.model_validate({"type": kind, "region": REGION, "id": name, **more})


def inventory(*resources: Resource, **more: object) -> Inventory:
    """The test account with these resources."""
    return Inventory.model_validate({"account_id": "1", "regions": [REGION], "resources": resources, **more})


def read_declared_types() -> dict[str, str]:
    """Every resource type that the HCL declares, with a file that does. `terraform fmt` keeps the form of the line."""
    found = {}
    for path in sorted(TERRAFORM.rglob("*.tf")):
        found |= dict.fromkeys(re.findall(r'^resource "(\w+)"', path.read_text(), re.MULTILINE), path.name)
    return found


def test_every_type_of_the_infrastructure_is_in_the_table() -> None:
    """A type that is neither listed, nor part of a listed one, nor outside of AWS would be counted as absent."""
    declared = read_declared_types()
    assert declared
    known = LISTINGS.keys() | PARTS.keys() | NOT_IN_ACCOUNT.keys()
    assert {kind: file for kind, file in declared.items() if kind not in known} == {}


def test_the_tables_agree() -> None:
    """No type stands twice, and whatever a line points to is listed."""
    assert not LISTINGS.keys() & PARTS.keys()
    assert {part.of for part in PARTS.values()} <= LISTINGS.keys()
    assert all(part.reason for part in PARTS.values())
    assert {one for kind, many in COMPANIONS.items() for one in (kind, *many)} <= LISTINGS.keys()
    assert NOT_ON_EMULATOR.keys() <= LISTINGS.keys()


def test_an_unknown_type_fails_and_says_where_to_add_it() -> None:
    """The inventory never skips in silence."""
    with pytest.raises(PermanentError, match=r"aws_quantum_device.*blocks/inventory"):
        choose_listings(["aws_vpc", "aws_quantum_device"])


def test_a_part_is_counted_by_what_it_is_part_of() -> None:
    """A bucket's setting asks for buckets, a database for its snapshots too."""
    assert set(choose_listings(["aws_s3_bucket_versioning", "terraform_data"])) == {"aws_s3_bucket"}
    assert "aws_db_snapshot" in choose_listings(["aws_db_instance"])


def calls() -> Iterator[tuple[str, Listing, Call]]:
    """Every call of the table."""
    for kind, listing in LISTINGS.items():
        for call in (*listing.calls, *([listing.aws_owns.call] if listing.aws_owns else [])):
            yield kind, listing, call


def test_every_call_exists_in_the_api_of_aws() -> None:
    """Service, operation and argument names are AWS's own, by the models that boto3 carries."""
    import boto3

    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name=REGION)
    clients = {listing.service: session.client(listing.service) for listing in LISTINGS.values()}
    for kind, listing, call in calls():
        client = clients[listing.service]
        operation = client.meta.method_to_api_mapping[call.operation]
        shape = client.meta.service_model.operation_model(operation).input_shape
        assert {*call.given, *call.fixed} <= {*shape.members}, kind


def test_every_expression_can_be_compiled() -> None:
    """A broken expression would only show on an account that has such a resource."""
    for _, listing, call in calls():
        expressions = [
            listing.id,
            listing.name,
            listing.region,
            listing.made_by_aws,
            listing.is_gone,
            listing.is_pending,
        ]
        arn = [] if listing.arn.startswith("arn:") else [listing.arn]
        for expression in filter(None, [*expressions, *arn, call.items, *call.given.values()]):
            jmespath.compile(expression)


def test_the_same_account_has_no_difference() -> None:
    """Comparing an inventory with itself finds nothing."""
    one = inventory(resource("vpc-1"), types=["aws_vpc"])
    difference = compare(one, one)
    assert difference.is_as_before
    assert difference.is_complete
    assert difference.model_dump() == compare(inventory(), inventory()).model_dump()


def test_what_stays_and_what_went_is_named() -> None:
    """A new resource is extra, one that is gone or being deleted is missing."""
    before = inventory(resource("vpc-1"), resource("key-1", "aws_kms_key"))
    after = inventory(resource("vpc-2"), resource("key-1", "aws_kms_key", is_pending_deletion=True))
    difference = compare(before, after)
    assert [one.id for one in difference.extra] == ["vpc-2"]
    assert [one.id for one in difference.missing] == ["vpc-1", "key-1"]
    assert not difference.is_as_before


def test_pending_keys_and_expected_leftovers_are_named_apart() -> None:
    """A key that waits for its deletion and a final snapshot are no fault."""
    key = resource("key-1", "aws_kms_key", is_pending_deletion=True)
    snapshot = resource("final-1", "aws_db_snapshot", arn="arn:aws:rds:x:1:snapshot:final-1")
    for name in (snapshot.id, snapshot.arn):
        difference = compare(inventory(), inventory(key, snapshot), [name])
        assert difference.pending == (key,)
        assert difference.leftovers == (snapshot,)
        assert difference.is_as_before


def test_a_leftover_that_is_not_there_is_a_fault() -> None:
    """A final snapshot that was promised and does not exist is named."""
    difference = compare(inventory(), inventory(), ["final-1"])
    assert difference.absent == ("final-1",)
    assert not difference.is_as_before


def test_a_pending_key_whose_period_ended_is_no_fault() -> None:
    """What was being deleted before may be gone after."""
    before = inventory(resource("key-1", "aws_kms_key", is_pending_deletion=True))
    assert compare(before, inventory()).is_as_before


def test_a_type_that_only_one_inventory_asked_for_makes_the_difference_incomplete() -> None:
    """What was there all the time must not look new."""
    difference = compare(inventory(types=["aws_vpc"]), inventory(types=["aws_vpc", "aws_eip"]))
    assert list(difference.unasked) == ["aws_eip"]
    assert not difference.is_complete


def test_the_same_id_in_two_regions_is_two_resources() -> None:
    """A multi-region key and its replica share their id."""
    key, replica = resource("mrk-1", "aws_kms_key"), resource("mrk-1", "aws_kms_key", region="eu-west-1")
    assert compare(inventory(key), inventory(key, replica)).extra == (replica,)


def test_the_list_is_the_truth_for_its_types_and_the_tags_for_all_others() -> None:
    """The tagging API names what was deleted lately: for a listed type that is no resource; an unknown type is one."""
    vpc = resource("vpc-1", arn="arn:aws:ec2:eu-central-1:1:vpc/vpc-1")
    tagged = {
        "arn:aws:ec2:eu-central-1:1:vpc/vpc-1": {"environment": "dev"},
        "arn:aws:ec2:eu-central-1:1:vpc/vpc-deleted": {"environment": "dev"},
        "arn:aws:lambda:eu-central-1:1:function:job": {"environment": "dev"},
    }
    joined = join_tags([vpc], tagged, [LISTINGS["aws_vpc"]])
    assert [(one.type, one.is_tagged) for one in joined] == [("aws_vpc", True), ("lambda:function", True)]
    assert joined[0].tags == {"environment": "dev"}
