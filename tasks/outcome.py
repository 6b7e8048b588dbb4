"""How a run ended, in the ledger: written by the run itself, or for one that died by the sweeper."""

from contextlib import suppress
from typing import Any

from blocks.aws import AwsAccount
from domain.changes import Counts
from domain.errors import PermanentError, TerrariumError
from domain.state import read_resources
from domain.status import EnvironmentStatus, RunStatus
from tasks.ledger import ledger
from tasks.run import Run


def load_account(name: str) -> AwsAccount:
    """The account block of that name. PermanentError where nobody registered it."""
    try:
        account = AwsAccount.load(name)
    except ValueError as error:
        raise PermanentError(
            f"There is no account {name}.",
            "Name one of `terrarium account list`, or register it: `terrarium account add`.",
        ) from error
    assert isinstance(account, AwsAccount)
    return account


def list_left(run: Run) -> dict[str, Any]:
    """What exists after a failure, as far as the account answers: the next apply continues from it."""
    with suppress(TerrariumError):
        resources = read_resources(run.account.read_state(run.environment) or {})
        return {"resources": len(resources), "exists": [resource.address for resource in resources]}
    return {}


def finish(
    run_id: str,
    status: RunStatus,
    leaves: EnvironmentStatus | None,
    error: BaseException | None = None,
    left: dict[str, Any] | None = None,
) -> None:
    """What the steps told becomes the outcome: the counts of what changed, and everything else as the report."""
    report: dict[str, Any] = {}
    for step in ledger().read_steps(run_id):
        report |= step.detail if step.outcome == "succeeded" and step.detail else {}
    counted = report.pop("counts", None)
    counts = Counts.model_validate(counted) if counted else None
    report |= left or {}
    if isinstance(error, TerrariumError):
        report["resolution"] = error.resolution
    text = error.summary if isinstance(error, TerrariumError) else f"{type(error).__name__}: {error}" if error else ""
    ledger().finish_run(run_id, status, leaves, counts, report, text)
