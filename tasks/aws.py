"""What a run keeps in an account and asks of it, beside Terraform: saved plans, the vault, the inventory."""

from datetime import timedelta
from hashlib import sha256
from typing import Any

from prefect import task

from blocks.aws_objects import copy_to_vault, empty_bucket, measure_vault, move_to_vault
from blocks.inventory import LISTINGS, observe_inventory
from domain.changes import Changes
from domain.errors import PermanentError, TemporaryError
from domain.remains import classify_remains, find_missing
from domain.state import find_buckets, read_resources
from tasks.ledger import ledger
from tasks.retry import REPEATABLE
from tasks.run import Run, read_clock
from tasks.terraform import PLAN_FILE, name_saved

#: A saved plan may hold a secret: it is encrypted, and kept for this long.
PLAN_HOURS = 24
#: Clouds whose resources an account lists; those of a rehearsal exist in the state alone.
LISTED_CLOUDS = frozenset({"aws"})
#: The module of the stack that makes the media bucket and its replica.
MEDIA = "media"
#: AWS lists what was removed, and its tags, for up to a minute: what is still there is looked for again.
LISTED_LATE = REPEATABLE | {"retry_delay_seconds": [5, 15, 40]}


@task(**REPEATABLE)
def save_plan(run: Run, plan_id: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Keep the plan of the scratch folder in the state bucket, to be applied exactly as it was shown."""
    planned = Changes.model_validate(changes)
    content = (run.folder / PLAN_FILE).read_bytes()
    location = run.account.put_plan(run.environment, name_saved(plan_id, run.run_id), content)
    known = ledger().read_plan(plan_id)
    is_repeated = known is not None and known.run_id == run.run_id  # by a retry of the task, or of the whole run
    expires_at = known.expires_at if known and is_repeated else read_clock() + timedelta(hours=PLAN_HOURS)
    if not is_repeated:
        ledger().add_plan(
            plan_id, run.environment, run.spec_version, run.run_id, planned.digest(), planned.model_dump_json(),
            location, expires_at, sha256(content).hexdigest(),
        )  # fmt: skip
    return {"plan_id": plan_id, "counts": planned.counts.model_dump(), "expires_at": expires_at.isoformat()}


@task(**REPEATABLE)
def delete_plan(run: Run, plan_id: str) -> None:
    """Remove the plan that this run saved; one that is gone is gone. The same plan of another run stays."""
    run.account.delete_plan(run.environment, name_saved(plan_id, run.run_id))


@task(**REPEATABLE)
def verify_infrastructure(run: Run) -> dict[str, Any]:
    """Ask the account itself for what the state says is there. PermanentError names what is not."""
    resources = read_resources(_read_state(run))
    if run.spec.cloud not in LISTED_CLOUDS:
        return {"resources": len(resources)}
    inventory = observe_inventory(run.account, _regions(run), {resource.resource_type for resource in resources})
    missing = find_missing(resources, inventory, LISTINGS)
    if missing:
        raise PermanentError(
            f"{run.environment}: the account does not have {', '.join(missing)}, which the state says is there.",
            f"Somebody removed it, or the account forgot it. Apply again: `terrarium env apply {run.environment}`.",
        )
    return {"resources": len(resources), "listed": len(inventory.resources)}


@task(**REPEATABLE)
def copy_media_to_vault(run: Run) -> dict[str, Any]:
    """Copy the media to the account's vault, below the environment's name and generation, before anything goes."""
    copied = [copy_to_vault(run.account, bucket, _vault_prefix(run)) for bucket in _media_buckets(run)[0]]
    return {"media_objects": sum(objects for objects, _ in copied), "media_bytes": sum(size for _, size in copied)}


@task(**REPEATABLE)
def empty_media(run: Run) -> dict[str, Any]:
    """Empty the media bucket and its replica: Terraform removes a bucket only when it is empty.

    What was written since the copy goes to the vault too.
    """
    sources, replicas = _media_buckets(run)
    moved = sum(move_to_vault(run.account, bucket, _vault_prefix(run)) for bucket in sources)
    emptied = sum(empty_bucket(run.account, bucket, region) for bucket, region in replicas.items())
    return {"emptied_versions": moved + emptied}


@task(**LISTED_LATE)
def verify_removal(run: Run) -> dict[str, Any]:
    """Count what the account still holds of the environment: nothing but what stays on purpose, each one named."""
    if run.spec.cloud not in LISTED_CLOUDS:
        return {"found": []}
    inventory = observe_inventory(run.account, _regions(run), LISTINGS)
    found = classify_remains(inventory, run.environment, ledger().read_resource_ids(run.environment))
    if found.unexpected:
        names = ", ".join(map(str, found.unexpected))
        raise TemporaryError(
            f"{run.environment}: {len(found.unexpected)} of its resources are still there: {names}.",
            f"Remove what holds them, then destroy again: `terrarium env destroy {run.environment}`.",
        )
    objects, size_bytes = measure_vault(run.account, _vault_prefix(run))
    vault = f"s3://{run.account.vault_bucket}/{_vault_prefix(run)}"
    copies = [f"{objects} media objects of {size_bytes} bytes in {vault}"] if objects else []
    return {
        "resources": 0,
        "found": [*(f"{one}: {one.arn or one.id}" for one in found.expected), *copies],
        "unasked": dict(inventory.unasked),
    }


def _media_buckets(run: Run) -> tuple[list[str], dict[str, str]]:
    """The media bucket, and its replicas with their regions."""
    regions = find_buckets(_read_state(run), MEDIA)
    sources = [bucket for bucket, region in regions.items() if region == run.spec.region]
    return sources, {bucket: region for bucket, region in regions.items() if bucket not in sources}


def _vault_prefix(run: Run) -> str:
    return f"media/{run.environment}/{run.generation}/"


def _read_state(run: Run) -> dict[str, Any]:
    return run.account.read_state(run.environment) or {}


def _regions(run: Run) -> tuple[str, ...]:
    return tuple(dict.fromkeys(region for region in (run.spec.region, run.spec.recovery_region) if region))
