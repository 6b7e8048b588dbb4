"""Route 53's API: the records of an environment's zone, read; and a record of a drill's own, made, led on, deleted.

Invariant: a record is written only where it is not there yet or is what this run wrote; nobody else's is touched.
"""

import time
from collections.abc import Mapping
from typing import Any

from blocks.aws import AwsAccount
from domain.errors import PermanentError
from domain.rds_recovery import Record

POLL_SECONDS = 2.0
#: Route 53 has a change on all of its servers within a minute, as a rule.
WAIT_SECONDS = 600.0
TTL_SECONDS = 30


def find_zone(account: AwsAccount, name: str) -> str:
    """The id of the public zone of that name; empty where there is none."""
    with account.translated(f"looking for zone {name}"):
        found = account.client("route53").list_hosted_zones_by_name(DNSName=name, MaxItems="10")["HostedZones"]
    wanted = [one for one in found if one["Name"] == f"{name}." and not one["Config"].get("PrivateZone")]
    return wanted[0]["Id"].rpartition("/")[2] if wanted else ""


def list_records(account: AwsAccount, zone_id: str) -> tuple[Record, ...]:
    """Every record set of a zone."""
    with account.translated(f"listing zone {zone_id}"):
        pages = account.client("route53").get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id)
        return tuple(_show(row) for page in pages for row in page["ResourceRecordSets"])


def find_record(account: AwsAccount, zone_id: str, name: str) -> Record | None:
    """The CNAME of that name; None where there is none."""
    found = (one for one in list_records(account, zone_id) if (one.name, one.type) == (name, "CNAME"))
    return next(found, None)


def lead_record(account: AwsAccount, zone_id: str, name: str, target: str) -> None:
    """Let a name lead to an address, whatever it leads to now, and wait until all of Route 53's servers say so."""
    _change(account, zone_id, "UPSERT", Record(name=name, type="CNAME", values=(target,), ttl_seconds=TTL_SECONDS))


def delete_record(account: AwsAccount, zone_id: str, name: str) -> None:
    """Take a name away. Gone is gone."""
    if (found := find_record(account, zone_id, name)) is not None:
        _change(account, zone_id, "DELETE", found)


def _change(account: AwsAccount, zone_id: str, action: str, record: Record) -> None:
    row = {
        "Name": record.name,
        "Type": record.type,
        "TTL": record.ttl_seconds,
        "ResourceRecords": [{"Value": value} for value in record.values],
    }
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": row}]}
    with account.translated(f"changing {record.name} of zone {zone_id}"):
        client = account.client("route53")
        change = client.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=batch)["ChangeInfo"]
        deadline = time.monotonic() + WAIT_SECONDS
        while change["Status"] != "INSYNC":
            if time.monotonic() > deadline:
                raise PermanentError(
                    f"Route 53 has not brought {record.name} to all of its servers within {WAIT_SECONDS:g} s.",
                    "See AWS's health page. The run's undo takes its own record away; run it again later.",
                )
            time.sleep(POLL_SECONDS)
            change = client.get_change(Id=change["Id"])["ChangeInfo"]


def _show(row: Mapping[str, Any]) -> Record:
    return Record(
        name=row["Name"].removesuffix("."),
        type=row["Type"],
        values=tuple(one["Value"].removesuffix(".") for one in row.get("ResourceRecords", ())),
        ttl_seconds=row.get("TTL"),
        set_identifier=row.get("SetIdentifier", ""),
        alias=row.get("AliasTarget", {}).get("DNSName", "").removesuffix("."),
    )
