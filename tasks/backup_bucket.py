"""Buckets with a replica: what is there is listed, and the replica is held against the listing."""

import hashlib
from typing import Any

from prefect import task

from blocks.backup_vault import fetch_backup
from blocks.bucket_replica import list_current, observe_replica
from domain.backup import Manifest
from domain.backup_bucket import (
    BUCKET,
    LISTED_OBJECTS,
    describe_listing,
    judge_bucket,
    name_media,
    read_listing,
    write_listing,
)
from domain.backup_plan import name_folder
from tasks.known_backup import keep_and_record
from tasks.ledger import ledger
from tasks.retry import REPEATABLE
from tasks.run import Run, read_clock


@task(**REPEATABLE)
def list_media(run: Run, backup_id: str) -> dict[str, Any]:
    """List the bucket's current objects, keep the listing in the vault, and record it. Again: the same listing.

    The time is from before: what is written meanwhile may be in it, what was there is.
    """
    if (known := ledger().read_backup(backup_id)) is not None:
        return {"backup_id": backup_id, "objects": known.manifest["tables"]["objects"]["rows"]}
    taken_at = read_clock()
    bucket = name_media(run.environment, run.account.account_id, run.spec.region)
    objects = list_current(run.account, bucket, run.spec.region, LISTED_OBJECTS)
    run.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = run.folder / "listing"
    file.write_text(write_listing(objects))
    manifest = describe_listing(objects, hashlib.sha256(file.read_bytes()).hexdigest(), taken_at)
    keep_and_record(run, backup_id, BUCKET, file, manifest, sum(one.size_bytes for one in objects))
    return {"backup_id": backup_id, "objects": len(objects)}


@task(**REPEATABLE)
def ask_replica(run: Run, backup_id: str) -> dict[str, Any]:
    """Look for every listed object in the replica, and record the verdict."""
    row = ledger().read_backup(backup_id)
    assert row is not None, "the plan was made of what the ledger has"
    replica_region = run.spec.recovery_region
    assert replica_region is not None, "what has a replica has a recovery region"
    fetched = run.folder / "fetched"
    fetched.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = name_folder(run.environment, backup_id)
    content = fetch_backup(run.account.for_reading(f"{folder}/"), folder, fetched).read_bytes()
    listed = read_listing(content.decode())
    bucket, replica = (
        name_media(run.environment, run.account.account_id, region) for region in (run.spec.region, replica_region)
    )
    state = observe_replica(run.account, bucket, run.spec.region, replica, replica_region, listed)
    verdict = judge_bucket(
        Manifest.model_validate(row.manifest), hashlib.sha256(content).hexdigest(), len(content), listed, state,
        is_emulated=run.account.kind == "emulator",
    )  # fmt: skip
    ledger().add_verdict(backup_id, verdict, run.run_id, run.actor)
    return {"verdict": verdict.to_json(), "backup_id": backup_id}
