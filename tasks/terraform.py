"""Terraform on an environment's stack: plan, apply and destroy, each one task around one call of the block.

An apply is not tried again as it is: a plan that was applied halfway is stale. The next run plans anew and continues.
"""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.aws import state_key
from blocks.module_archive import STACKS
from blocks.settings import read_settings
from blocks.state_lock import LockedError, LockRecorder
from blocks.terraform import RESCUED_STATE, Terraform
from blocks.terraform_binary import find_provider_mirror, find_terraform
from domain.changes import Changes
from domain.data_losses import find_never_made
from domain.errors import PermanentError, RefusedError
from domain.explanation import explain
from domain.infrastructure import terraform_inputs
from domain.provision import Observed
from domain.spec import EnvironmentSpec
from domain.staleness import refuse_changed_spec, refuse_expired, refuse_moved_state
from domain.status import EnvironmentStatus
from tasks.journal import Journal, read_failed
from tasks.ledger import ledger
from tasks.modules import choose_modules, read_pinned
from tasks.orphans import adopt_orphans
from tasks.retry import REPEATABLE
from tasks.run import Run, read_clock

#: Asking a Terraform for its version takes 0.1 s; a run asks once.
_find_program = cache(find_terraform)

PLAN_FILE = "terraform.tfplan"
Outcome = TypeVar("Outcome")


def observe_infrastructure(run: Run) -> Observed:
    """What Terraform would change: by a new plan, or by the saved one that the run was asked to apply."""
    pinned = read_pinned(run)
    if run.plan_id:
        changes = read_saved_plan(run, run.plan_id)
        init_terraform(run, changes.modules)
        adopt_orphans(run, import_resource)
        put_saved_plan(run, run.plan_id)
    else:
        modules = init_terraform(run)
        adopt_orphans(run, import_resource)
        changes = plan_infrastructure(run, modules)
    is_ready = run.status_before == EnvironmentStatus.READY
    never_made = find_never_made(read_failed(run)) if changes.lost else frozenset()
    return Observed(changes=changes, is_ready=is_ready, pinned=pinned, named=run.named, never_made=never_made)


@task(**REPEATABLE)
def init_terraform(run: Run, planned: str = "") -> str:
    """Copy the stack into the run's scratch folder, connect its state, link its provider; the digest of the modules."""
    account = run.account
    inputs = terraform_inputs(run.spec, run.generation, run.origin_run_id, account.owner())
    recover_states(run)
    digest, stack = choose_modules(run, planned)
    terraform = _open(run)
    terraform.prepare(stack, inputs, account.terraform_backend(state_key(run.environment)))
    terraform.init()
    return digest


@task(**REPEATABLE)
def import_resource(run: Run, address: str, resource_id: str) -> None:
    """Take what a dead run made and could not write down into the environment's state."""
    break_dead_lock(run)  # an import tells of a lock in words for people only
    _open(run).import_resource(address, resource_id)


@task(**REPEATABLE)
def plan_infrastructure(run: Run, modules: str) -> Changes:
    """Ask Terraform what would change and why, and keep its plan in the scratch folder.

    What is only added needs no reasons: a new environment does not pay for them.
    """
    plan_file = run.folder / PLAN_FILE
    terraform = _open(run)
    changes = _unlocked(terraform, lambda it: it.plan(plan_file)).changes
    if any(item.action in ("change", "replace") for item in changes.items):
        changes = explain(changes, terraform.show(plan_file))
    return changes.model_copy(update={"modules": modules})


@task(**REPEATABLE)
def read_saved_plan(run: Run, plan_id: str) -> Changes:
    """The plan that a person saw and said yes to. RefusedError where it expired, or what it was made of has changed."""
    plan = ledger().read_plan(plan_id)
    if plan is None or plan.environment != run.environment:
        raise RefusedError(
            f"{run.environment}: plan {plan_id} is unknown, or of another environment.",
            f"Plan again: `terrarium env plan {run.environment}`.",
        )
    refuse_expired(run.environment, plan_id, plan.expires_at, read_clock())
    newest = EnvironmentSpec.model_validate_json(ledger().read_spec(run.environment).spec_json)
    refuse_changed_spec(plan_id, run.spec, newest)
    return Changes.model_validate_json(plan.changes_json)


@task(**REPEATABLE)
def put_saved_plan(run: Run, plan_id: str) -> None:
    """Fetch the saved plan into the scratch folder. RefusedError where it is not the file that was shown."""
    plan = ledger().read_plan(plan_id)
    assert plan is not None
    content = run.account.read_plan(run.environment, name_saved(plan_id, plan.run_id))
    if sha256(content).hexdigest() != plan.sha256:
        raise RefusedError(
            f"{run.environment}: the file of plan {plan_id} is not the one that was saved.",
            f"Find out who wrote {plan.location}, and plan again: `terrarium env plan {run.environment}`.",
        )
    (run.folder / PLAN_FILE).write_bytes(content)


def name_saved(plan_id: str, run_id: str) -> str:
    """What a saved plan is called in the state bucket: the same plan of two runs is two files."""
    return f"{plan_id}/{run_id}"


@task(cache_policy=NO_CACHE)
def apply_infrastructure(run: Run, changes: dict[str, Any]) -> dict[str, Any]:
    """Apply the plan in the scratch folder; each resource is a line of the journal and of the progress artifact."""
    journal = Journal(run, Changes.model_validate(changes))
    terraform = _open(run)
    try:
        outcome = _unlocked(terraform, lambda it: it.apply(run.folder / PLAN_FILE, journal.add))
    except PermanentError as error:
        if "Saved plan is stale" not in error.summary:
            raise
        raise refuse_moved_state(run.environment, run.plan_id or "of this run", _list_changes_since(run)) from error
    return {"counts": outcome.counts.model_dump(), **journal.close()}


@task(cache_policy=NO_CACHE)
def destroy_infrastructure(run: Run) -> dict[str, Any]:
    """Plan the removal of everything in the state, and apply that plan."""
    init_terraform(run)
    adopt_orphans(run, import_resource)
    terraform = _open(run)
    plan_file = run.folder / PLAN_FILE
    changes = _unlocked(terraform, lambda it: it.plan(plan_file, destroy=True)).changes
    journal = Journal(run, changes)
    outcome = _unlocked(terraform, lambda it: it.apply(plan_file, journal.add))
    return {"counts": outcome.counts.model_dump(), **journal.close()}


def _list_changes_since(run: Run) -> list[str]:
    """The runs that changed the environment since the plan of this one was made, told in words."""
    plan = ledger().read_plan(run.plan_id) if run.plan_id else None
    since = plan.added_at if plan else None
    return [
        f"{other.operation} run {other.run_id} of {other.actor}, {other.status} at {other.finished_at:%F %T} UTC"
        for other in ledger().list_runs(run.environment)
        if other.finished_at and since and other.finished_at > since and other.environment_status
    ]


def recover_states(run: Run) -> None:
    """Put states that earlier runs could not write into the bucket. PermanentError where the bucket's is another one.

    The oldest first, for a state follows from the one before. Those of runs that still live are theirs.
    """
    living = {row.run_id for row in ledger().list_live(run.environment) if not row.is_proved_dead} - {run.run_id}
    for path in list_rescued(run.folder.parent):
        folder = path.parents[2]
        if folder.name in living:
            continue
        dead = replace(run, folder=folder)
        break_dead_lock(dead)
        terraform = _open(dead)
        terraform.enter(path.parent)
        terraform.push_state(path)
        if folder != run.folder:
            shutil.rmtree(folder, ignore_errors=True)


def list_rescued(folder: Path) -> list[Path]:
    """The states that runs of an environment could not write, the oldest first."""
    return sorted(folder.glob(f"*/stacks/*/{RESCUED_STATE}"), key=lambda path: path.stat().st_mtime)


def break_dead_lock(run: Run) -> None:
    """Break the lock on the environment's state where its holder is provably dead; any other stays."""
    terraform = _open(run)
    if terraform.folder.exists() and (held := run.account.read_lock(state_key(run.environment))):
        with suppress(PermanentError):
            terraform.break_lock(held.id)


def _open(run: Run) -> Terraform:
    """Terraform in the run's scratch folder, with the stack of the environment's cloud."""
    settings = read_settings()
    account, key = run.account, state_key(run.environment)
    mirror = find_provider_mirror(settings.provider_mirror)
    terraform = Terraform(
        run.folder,
        run.environment,
        program=_find_program(settings.terraform_path, settings.terraform_version),
        environment=account.environment(),
        mirror=mirror,
        locks=LockRecorder(settings.state_dir / "locks", lambda: account.read_lock(key)),
    )
    terraform.enter(STACKS / run.spec.cloud)
    return terraform


def _unlocked(terraform: Terraform, command: Callable[[Terraform], Outcome]) -> Outcome:
    """The command; where the lock is held by a process of this stack that is provably dead, it is broken first."""
    try:
        return command(terraform)
    except LockedError as locked:
        try:
            terraform.break_lock(locked.holder.id)
        except PermanentError:
            raise locked from None
        return command(terraform)
