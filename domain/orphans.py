"""What dead runs made or began and no state knows: to be imported before the next plan, or deleted, or told.

The journal says what Terraform began and made; the state says what it could still write down; the account says what is
there. Names come from environment and step, so what was made once would collide, or be there twice.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from domain.inventory import Inventory, Resource
from domain.progress import Event
from domain.remains import ONLY_COUNTED
from domain.state import StateResource

#: Types that are made again to no effect: a setting of another resource that is put anew, or a call that answers with
#: what is there. They are in no need of an import.
CONVERGING = frozenset(
    {
        "terraform_data",
        "aws_acm_certificate_validation",
        "aws_cloudwatch_dashboard",
        "aws_cloudwatch_metric_alarm",
        "aws_default_network_acl",
        "aws_default_route_table",
        "aws_default_security_group",
        "aws_ecr_lifecycle_policy",
        "aws_iam_role_policy",
        "aws_iam_role_policy_attachment",
        "aws_kms_key_policy",
        "aws_route_table_association",
        "aws_s3_bucket_lifecycle_configuration",
        "aws_s3_bucket_object_lock_configuration",
        "aws_s3_bucket_policy",
        "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_replication_configuration",
        "aws_s3_bucket_server_side_encryption_configuration",
        "aws_s3_bucket_versioning",
        "aws_secretsmanager_secret_version",
        "aws_sns_topic_policy",
        "aws_sns_topic_subscription",
        "aws_sqs_queue_policy",
        "aws_sqs_queue_redrive_allow_policy",
        "aws_sqs_queue_redrive_policy",
    }
)
#: Types whose id in Terraform's stream is not the one that an import takes: the account's list has that one.
IMPORTED_BY_LISTED_ID = frozenset({"aws_db_instance"})
#: Types that hold no data and nothing depends on, so that one that belongs to no address is deleted.
DELETABLE = frozenset({"aws_acm_certificate", "aws_eip", "aws_nat_gateway", "aws_route53_health_check"})


class Orphan(BaseModel):
    """A resource that no state knows. `address` is empty for one that belongs to none: it is deleted, or told."""

    model_config = ConfigDict(frozen=True)

    action: Literal["import", "delete", "tell"]
    resource_type: str
    resource_id: str
    region: str = ""
    address: str = ""

    def __str__(self) -> str:
        return f"{self.address or self.resource_type} {self.resource_id}"


class Owner(NamedTuple):
    """Whose resources are looked for: the tags that all of them carry."""

    environment: str
    run: str


def list_unfinished(events: Iterable[Event], resources: Iterable[StateResource]) -> tuple[Event, ...]:
    """For each address that the state does not have the newest event of its making; `completed` ones have an id."""
    newest: dict[str, Event] = {}
    for event in events:
        if event.kind == "planned":
            continue
        if event.action == "create":
            newest[event.address] = event
        elif event.kind == "completed" and event.action == "delete":
            newest.pop(event.address, None)
    known = {resource.address for resource in resources}
    return tuple(
        event
        for address, event in sorted(newest.items())
        if address not in known and event.resource_type not in CONVERGING
    )


def decide_orphans(
    unfinished: Sequence[Event], resources: Iterable[StateResource], inventory: Inventory, owner: Owner
) -> tuple[Orphan, ...]:
    """What becomes of each resource that is in the account and in no state. What is not in the account needs nothing.

    `inventory` is of the types of `unfinished`.
    """
    tracked = {word for one in resources for word in (one.resource_id, one.arn) if word}
    left = [one for one in inventory.resources if not {one.id, one.arn} & tracked]
    made = [event for event in unfinished if _has_import_id(event)]
    imported = [found for event in made if (found := _find_made(event, left, inventory.types))]
    taken = {orphan.resource_id for orphan in imported}
    own = [one for one in left if _is_own(one, owner) and one.id not in taken]
    return (*imported, *_decide_begun([event for event in unfinished if event not in made], own))


def _has_import_id(event: Event) -> bool:
    """Terraform told the id of what it made, and an import takes that one."""
    return bool(event.kind == "completed" and event.resource_id) and event.resource_type not in IMPORTED_BY_LISTED_ID


def _find_made(event: Event, listed: Sequence[Resource], listed_types: Sequence[str]) -> Orphan | None:
    """None where the account has a list in which it is missing: somebody removed it."""
    found = next((one for one in listed if event.resource_id in (one.id, one.arn)), None)
    if found is None and event.resource_type in listed_types and event.resource_type not in ONLY_COUNTED:
        return None
    return _import(event, found.id if found else event.resource_id)


def _decide_begun(begun: Sequence[Event], own: Sequence[Resource]) -> Iterator[Orphan]:
    """Resources for addresses without an id; what then is left of their types belongs to no address."""
    left = [one for one in own if one.type in {event.resource_type for event in begun}]
    for event in begun:
        candidates = [one for one in left if one.type == event.resource_type]
        if found := _match(event, candidates, [one for one in begun if one.resource_type == event.resource_type]):
            yield _import(event, found.id)
            left = [one for one in left if one is not found]
    yield from (_dispose(one) for one in left)


def _match(event: Event, candidates: Sequence[Resource], rivals: Sequence[Event]) -> Resource | None:
    """The one resource that can only be this address's: the only one for the only address, or the one with its key."""
    if len(candidates) == len(rivals) == 1:
        return candidates[0]
    name, key = _read_key(event.address)
    words = [word for word in (f"{name}-{key}" if key else "", key, name) if word]
    for word in words:
        found = [one for one in candidates if one.name.endswith((f"-{word}", f"/{word}", f"/{word}-g1"))]
        if len(found) == 1:
            return found[0]
    return None


def _read_key(address: str) -> tuple[str, str]:
    """Name and instance key of a resource: `module.a.aws_subnet.b["c"]` has b and c."""
    block, _, key = address.rpartition(".")[2].partition("[")
    return block, key.strip('"]')


def _is_own(one: Resource, owner: Owner) -> bool:
    """It carries the environment's and its generation's tags; where nothing told the tags, exactly its name.

    A name that only begins with it may be another environment's: `dev-2` begins with `dev`.
    """
    if one.is_pending_deletion:
        return False
    if one.tags is not None:
        return (one.tags.get("environment"), one.tags.get("run")) == owner
    mark = f"terrarium-{owner.environment}"
    is_below = f"/{mark}/" in one.name or f"/terrarium/{owner.environment}/" in f"/{one.name}"
    return is_below or mark in (one.name.removeprefix("alias/"), one.id.rpartition("/")[2])


def _import(event: Event, resource_id: str) -> Orphan:
    return Orphan(action="import", resource_type=event.resource_type, resource_id=resource_id, address=event.address)


def _dispose(one: Resource) -> Orphan:
    action: Literal["delete", "tell"] = "delete" if one.type in DELETABLE else "tell"
    return Orphan(action=action, resource_type=one.type, resource_id=one.id, region=one.region)
