"""Terraform on an environment's stack: plan, apply and destroy, each one task around one call of the block.

An apply is not tried again as it is: a plan that was applied halfway is stale. The next run plans anew and continues.
"""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.aws import state_key
from blocks.settings import CHECKOUT, read_settings
from blocks.state_lock import LockedError, LockRecorder
from blocks.terraform import RESCUED_STATE, Terraform
from blocks.terraform_binary import find_provider_mirror, find_terraform
from domain.changes import Changes
from domain.errors import PermanentError, RefusedError
from domain.infrastructure import Account, terraform_inputs
from domain.provision import Observed
from domain.status import EnvironmentStatus
from tasks.journal import Journal
from tasks.ledger import ledger
from tasks.orphans import adopt_orphans
from tasks.retry import REPEATABLE
from tasks.run import Run, read_clock

#: Asking a Terraform for its version takes 0.1 s; a run asks once.
_find_program = cache(find_terraform)

STACKS = CHECKOUT / "infra" / "terraform" / "stacks"
PLAN_FILE = "terraform.tfplan"
Outcome = TypeVar("Outcome")


def observe_infrastructure(run: Run) -> Observed:
    """What Terraform would change: by a new plan, or by the saved one that the run was asked to apply."""
    init_terraform(run)
    adopt_orphans(run, import_resource)
    changes = read_saved_plan(run, run.plan_id) if run.plan_id else plan_infrastructure(run)
    return Observed(changes=changes, is_ready=run.status_before == EnvironmentStatus.READY)


@task(**REPEATABLE)
def init_terraform(run: Run) -> None:
    """Copy the stack into the run's scratch folder, connect its state, link its provider."""
    account = run.account
    owner = Account(
        id=account.account_id,
        role_arn=account.role_arn,
        state_bucket=account.state_bucket,
        vault_bucket=account.vault_bucket,
    )
    inputs = terraform_inputs(run.spec, run.generation, run.origin_run_id, owner)
    recover_states(run)
    terraform = _open(run)
    terraform.prepare(STACKS / run.spec.cloud, inputs, account.terraform_backend(state_key(run.environment)))
    terraform.init()


@task(**REPEATABLE)
def import_resource(run: Run, address: str, resource_id: str) -> None:
    """Take what a dead run made and could not write down into the environment's state."""
    break_dead_lock(run)  # an import tells of a lock in words for people only
    _open(run).import_resource(address, resource_id)


@task(**REPEATABLE)
def plan_infrastructure(run: Run) -> Changes:
    """Ask Terraform what would change, and keep its plan in the scratch folder."""
    return _unlocked(_open(run), lambda terraform: terraform.plan(run.folder / PLAN_FILE)).changes


@task(**REPEATABLE)
def read_saved_plan(run: Run, plan_id: str) -> Changes:
    """The plan that a person saw and said yes to. RefusedError where it expired, or is another environment's."""
    plan = ledger().read_plan(plan_id)
    if plan is None or plan.environment != run.environment or plan.expires_at <= read_clock():
        raise RefusedError(
            f"{run.environment}: plan {plan_id} is unknown, of another environment, or older than 24 hours.",
            f"Plan again: `terrarium env plan {run.environment}`.",
        )
    (run.folder / PLAN_FILE).write_bytes(run.account.read_plan(run.environment, plan_id))
    return Changes.model_validate_json(plan.changes_json)


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
        raise RefusedError(
            f"{run.environment}: its state has changed since this plan was made.",
            f"Plan again: `terrarium env plan {run.environment}`.",
        ) from error
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


def recover_states(run: Run) -> None:
    """Put states that earlier runs could not write into the bucket. PermanentError where the bucket's is another one.

    Those of runs that still live are theirs.
    """
    living = {row.run_id for row in ledger().list_live(run.environment) if not row.is_proved_dead} - {run.run_id}
    for path in sorted(run.folder.parent.glob(f"*/stacks/*/{RESCUED_STATE}")):
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


def break_dead_lock(run: Run) -> None:
    """Break the lock on the environment's state where its holder is provably dead; any other stays."""
    held, terraform = run.account.read_lock(state_key(run.environment)), _open(run)
    if held and terraform.folder.exists():
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
