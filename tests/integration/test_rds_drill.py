"""Promotion of a read replica and the switch of a record, on the emulator."""

import pytest

from blocks.aws import AwsAccount
from blocks.rds import create_replica, delete_instance, promote_replica, read_instance
from blocks.route53 import delete_record, find_record, find_zone, lead_record, list_records
from domain.errors import PermanentError
from domain.rds import is_ours
from tests.integration.conftest import REGION
from tests.rds_database import make_database, make_replica

RECOVERY_REGION = "eu-west-1"
TAGS = {"environment": "shop", "managed-by": "terrarium", "purpose": "drill", "run": "r-1"}
ZONE = "shop.example"


def test_a_copy_of_a_replica_is_promoted_and_goes(account: AwsAccount) -> None:
    """Made like the environment's replica, promoted once, deleted; replica and primary are as they were."""
    make_database(account, "terrarium-shop")
    make_replica(account, "terrarium-shop-replica", "terrarium-shop", RECOVERY_REGION)
    source = read_instance(account, REGION, "terrarium-shop")
    replica = read_instance(account, RECOVERY_REGION, "terrarium-shop-replica")
    assert source is not None
    assert replica is not None
    assert replica.source in (source.arn, source.id)
    for _ in range(2):
        copy = create_replica(account, RECOVERY_REGION, "terrarium-shop-drill", source, replica, TAGS)
    assert (copy.source, copy.is_public, copy.is_encrypted) == (replica.source, False, True)
    assert (copy.kms_key, copy.security_groups) == (replica.kms_key, replica.security_groups)
    assert is_ours(copy.tags, "shop", "drill")
    for _ in range(2):
        promoted = promote_replica(account, RECOVERY_REGION, copy.id)
        assert (promoted.source, promoted.status) == ("", "available")
    for _ in range(2):
        delete_instance(account, RECOVERY_REGION, copy.id)
        assert read_instance(account, RECOVERY_REGION, copy.id) is None
    assert read_instance(account, RECOVERY_REGION, replica.id) == replica
    assert read_instance(account, REGION, source.id) == source


def test_a_record_is_led_elsewhere_and_taken_away(account: AwsAccount) -> None:
    """What else is in the zone stays as it is; gone is gone; a zone that is not there has no id."""
    route53 = account.client("route53")
    created = route53.create_hosted_zone(Name=ZONE, CallerReference="1")["HostedZone"]["Id"]
    zone_id = find_zone(account, ZONE)
    assert created.endswith(zone_id)
    assert find_zone(account, "other.example") == ""
    before = list_records(account, zone_id)
    name = f"drill-1.{ZONE}"
    for target in ("a.example", "a.example", "b.example"):
        lead_record(account, zone_id, name, target)
        found = find_record(account, zone_id, name)
        assert found is not None
        assert found.values == (target,)
    for _ in range(2):
        delete_record(account, zone_id, name)
        assert list_records(account, zone_id) == before


def test_a_record_of_another_zone_is_refused(account: AwsAccount) -> None:
    """Route 53's own words are told."""
    account.client("route53").create_hosted_zone(Name=ZONE, CallerReference="1")
    with pytest.raises(PermanentError, match=r"changing drill\.other\.example of zone"):
        lead_record(account, find_zone(account, ZONE), "drill.other.example", "a.example")
