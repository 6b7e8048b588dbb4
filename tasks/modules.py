"""The Terraform modules of a run: those that its environment keeps, or the checkout's where it is made or upgraded."""

from pathlib import Path
from typing import Any

from prefect import task

from blocks.module_archive import STACKS, digest_modules, pack_modules, unpack_modules
from blocks.settings import read_settings
from tasks.ledger import ledger
from tasks.retry import REPEATABLE
from tasks.run import Run


def choose_modules(run: Run, planned: str = "") -> tuple[str, Path]:
    """The digest of the modules that the run works with, and their stack's folder.

    `planned` are those that a saved plan was made with; a run that upgrades takes the checkout's.
    """
    newest = digest_modules(run.spec.cloud)
    digest = planned or (newest if run.is_upgrade else read_pinned(run)) or newest
    if digest == newest:
        return digest, STACKS / run.spec.cloud
    folder = read_settings().state_dir / "modules" / digest
    stack = folder / "stacks" / run.spec.cloud
    if not stack.is_dir() or digest_modules(run.spec.cloud, stack.parent) != digest:
        unpack_modules(run.account.read_modules(digest), folder, run.spec.cloud, digest)
    return digest, stack


def read_pinned(run: Run) -> str | None:
    """The digest of the modules that the environment keeps; None before it was first ready."""
    pin = ledger().read_module_pin(run.environment) if run.was_ready else None
    return pin.digest if pin else None


@task(**REPEATABLE)
def pin_modules(run: Run, digest: str) -> dict[str, Any]:
    """Keep an archive of the modules beside the state, and use them for this environment until it is upgraded."""
    _, stack = choose_modules(run, digest)
    location = run.account.put_modules(digest, pack_modules(run.spec.cloud, stack.parent))
    ledger().add_module_pin(run.environment, run.generation, digest, location, run.run_id)
    return {"modules": digest}
