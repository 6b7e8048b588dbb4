"""The inventory on the emulator: nearly every type is made, found in both ways, and gone when it is deleted."""

import uuid
from contextlib import ExitStack

import pytest

from blocks.aws import AwsAccount
from blocks.inventory import LISTINGS, observe_inventory
from blocks.inventory.listings import NOT_ON_EMULATOR
from domain.errors import PermanentError, TemporaryError
from domain.inventory import Inventory, compare
from tests.account_contents import TAGS, create_cluster, create_everything, create_network, create_rights
from tests.integration.conftest import REGION, open_account

RECOVERY = "eu-west-1"
# What the test tags, of the types that the emulator's tagging API knows.
FOUND_BOTH_WAYS = {
    *("aws_vpc", "aws_subnet", "aws_route_table", "aws_internet_gateway", "aws_nat_gateway", "aws_security_group"),
    *("aws_flow_log", "aws_lb", "aws_lb_target_group", "aws_elb", "aws_acm_certificate", "aws_kms_key"),
    *("aws_secretsmanager_secret", "aws_ssm_parameter", "aws_s3_bucket", "aws_db_instance", "aws_sqs_queue"),
    *("aws_dynamodb_table", "aws_backup_vault", "aws_cloudwatch_log_group", "aws_cloudwatch_metric_alarm"),
    "aws_sns_topic",
}


def name_account() -> str:
    """Twelve digits that no other test has."""
    return f"{uuid.uuid4().int % 10**12:012}"


@pytest.fixture
def empty(emulator: str) -> AwsAccount:
    """An account that nobody has used."""
    return open_account(emulator, name_account())


def observe(account: AwsAccount) -> Inventory:
    """Everything of every type, in both regions."""
    return observe_inventory(account, [REGION, RECOVERY], LISTINGS)


def test_everything_is_found_and_gone_after_its_deletion(empty: AwsAccount) -> None:
    """From an empty account and back: the final snapshot stays, keys and secret wait for their deletion.

    What is listed and tagged is one resource; where nobody asks for a type, its tags still tell of it.
    """
    before = observe(empty)
    assert before.resources == ()
    with ExitStack() as stack:
        create_everything(empty, stack)
        full = observe(empty)
        assert set(LISTINGS) - set(full.counts()) == set(NOT_ON_EMULATOR)
        assert {one.type for one in full.resources if not one.is_listed} == set()
        assert {one.type for one in full.resources if one.is_tagged and one.tags == TAGS} >= FOUND_BOTH_WAYS
        unasked = observe_inventory(empty, [REGION, RECOVERY], ["aws_ecr_repository"])
        assert {"ec2:vpc", "rds:db", "s3:", "kms:key", "aws_ecr_repository"} <= set(unasked.counts())
    difference = compare(before, observe(empty), ["final"])
    assert [str(one) for one in difference.extra + difference.missing] == []
    assert difference.is_as_before
    assert [(one.type, one.name) for one in difference.leftovers] == [("aws_db_snapshot", "final")]
    assert [(one.type, one.region) for one in difference.pending] == [
        ("aws_kms_key", REGION),
        ("aws_kms_key", RECOVERY),
        ("aws_secretsmanager_secret", REGION),
    ]


def test_other_accounts_and_regions_are_not_seen(emulator: str, empty: AwsAccount) -> None:
    """Two accounts share the emulator; a bucket of another region is not this inventory's."""
    other = open_account(emulator, name_account())
    other.client("sqs").create_queue(QueueName="jobs", tags=TAGS)
    empty.client("sqs", "us-west-2").create_queue(QueueName="jobs", tags=TAGS)
    empty.client("s3", "us-east-1").create_bucket(Bucket=f"far-{empty.account_id}")
    regions, types = [REGION, RECOVERY], ["aws_sqs_queue", "aws_s3_bucket"]
    assert observe_inventory(empty, regions, types).resources == ()
    assert observe_inventory(other, regions, types).counts() == {"aws_sqs_queue": 1}


def test_many_pages_are_read_to_their_end(empty: AwsAccount) -> None:
    """No list call ends with its first page."""
    ssm, waf = empty.client("ssm"), empty.client("wafv2")  # boto3 pages the first, and not the second
    seen = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "web"}
    for number in range(101):
        ssm.put_parameter(Name=f"/number/{number}", Value="small", Type="String")
        waf.create_web_acl(Name=f"web-{number}", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=seen)
    found = observe_inventory(empty, [REGION], ["aws_ssm_parameter", "aws_wafv2_web_acl"])
    assert found.counts() == {"aws_ssm_parameter": 101, "aws_wafv2_web_acl": 101}


def test_an_unknown_type_fails(empty: AwsAccount) -> None:
    """A type that the table does not know is never counted as absent."""
    with pytest.raises(PermanentError, match="aws_quantum_device"):
        observe_inventory(empty, [REGION], ["aws_vpc", "aws_quantum_device"])


@pytest.mark.parametrize("kind", NOT_ON_EMULATOR)
def test_what_the_emulator_is_said_not_to_know_it_does_not_know(
    empty: AwsAccount, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An excuse that is none any more has to go."""
    with ExitStack() as stack:
        create_cluster(empty, stack, create_network(empty, stack), create_rights(empty, stack))
        monkeypatch.delitem(NOT_ON_EMULATOR, kind)
        with pytest.raises((PermanentError, TemporaryError), match=kind):
            observe_inventory(empty, [REGION], [kind])
