"""What a plan would take from the environment's data: holders destroyed, replaced or made smaller.

A person has to name each one: a plan with thirty harmless changes hides the one that empties the database.
"""

import re
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from domain.changes import Change, Changes
from domain.errors import RefusedError
from domain.progress import Event

#: AWS resources that hold data, or without which data cannot be read (a key). Images and logs are made again.
HOLDERS = frozenset({"aws_db_instance", "aws_s3_bucket", "aws_kms_key", "aws_sqs_queue", "aws_secretsmanager_secret"})
#: The parts of the rehearsal stack that stand for them.
REHEARSED_HOLDERS = frozenset({"database", "database_replica", "media", "media_replica", "queue", "key", "secrets"})
#: Terraform's reason for a replacement of what a failed creation left, and of what a person tainted.
TAINTED = "tainted"
#: Attributes of a holder that, when they get smaller, let go of data: storage and how long something is kept.
SIZES = re.compile(r"(^|\.)(allocated_storage|storage_gib|backup_retention_(period|days)|message_retention_seconds)$")


class DataLoss(BaseModel):
    """One holder of data and what the plan would do to it."""

    model_config = ConfigDict(frozen=True)

    address: str
    what: str


def find_data_losses(changes: Changes) -> tuple[DataLoss, ...]:
    """Every holder of data that would be destroyed, replaced or made smaller."""
    found = [(change, _describe(change)) for change in changes.items if _is_holder(change)]
    return tuple(DataLoss(address=change.address, what=what) for change, what in found if what)


def find_never_made(journal: Iterable[Event]) -> frozenset[str]:
    """The addresses whose last creation failed, from journals in their order: nothing was ever put there."""
    ends = {event.address: event for event in journal if event.kind in ("completed", "errored")}
    return frozenset(address for address, event in ends.items() if (event.kind, event.action) == ("errored", "create"))


def refuse_data_losses(
    environment: str, changes: Changes, named: Iterable[str], never_made: frozenset[str] = frozenset()
) -> None:
    """RefusedError for each loss that nobody named; what a failed creation left is none."""
    left = {change.address for change in changes.items if change.reason == TAINTED} & never_made
    losses = [loss for loss in find_data_losses(changes) if loss.address not in {*named, *left}]
    if not losses:
        return
    told = "; ".join(f"{loss.address} would be {loss.what}" for loss in losses)
    way = " ".join(f"--replace '{loss.address}'" for loss in losses)
    raise RefusedError(
        f"{environment}: the plan would lose data in {len(losses)} places: {told}.",
        f"Take a backup, then name each: `terrarium env apply {environment} {way}`. Or undo the change in its file.",
    )


def _is_holder(change: Change) -> bool:
    if change.resource_type == "terraform_data":
        return change.address.removeprefix("terraform_data.").partition("[")[0] in REHEARSED_HOLDERS
    return change.resource_type in HOLDERS


def _describe(change: Change) -> str:
    if change.action == "destroy":
        return "destroyed"
    if change.action == "replace":
        return "replaced"
    smaller = [
        f"{one.key} {one.before} to {one.after}"
        for one in change.differences
        if SIZES.search(one.key) and _is_smaller(one.before, one.after)
    ]
    return f"made smaller ({', '.join(smaller)})" if smaller else ""


def _is_smaller(before: str, after: str) -> bool:
    try:
        return float(after) < float(before)
    except ValueError:
        return False
