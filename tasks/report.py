"""The report that a run leaves in the Prefect UI: a markdown artifact, written from the state and the journal."""

from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact

from blocks.kubeconfig import read_contexts
from domain.changes import Changes
from domain.gaps import list_gaps
from domain.progress import find_critical_path
from domain.report import Made, render_made, render_removed
from domain.state import read_dependencies, read_outputs, read_resources
from domain.status import Operation
from domain.teardown import list_leftovers
from tasks.ledger import ledger
from tasks.pair import describe_pair
from tasks.retry import REPEATABLE
from tasks.run import Run
from tasks.secret import open_stores

#: What stands beside the report in Prefect's list of artifacts.
DESCRIPTIONS = {
    Operation.PLAN: "What applying would change.",
    Operation.PROVISION: "What was made, what decided how long it took, and who pays.",
    Operation.TEARDOWN: "What was removed, and what stays.",
}


@task(**REPEATABLE)
def publish_report(run: Run, changes: dict[str, Any]) -> dict[str, Any]:
    """Tell what was made, where it is reached, what decided the time, what it costs whom, and what was not made."""
    planned = Changes.model_validate(changes)
    state = run.account.read_state(run.environment) or {}
    resources = read_resources(state)
    endpoints = read_outputs(state).get("endpoints") or {}
    about_pair, pair_version = describe_pair(run)
    gaps = tuple(list_gaps(run.spec, read_contexts(), open_stores(run), pair_version))
    made = Made(
        changes=planned,
        resource_types=tuple(resource.resource_type for resource in resources),
        outputs={name: str(address) for name, address in endpoints.items() if address},
        critical_path=tuple(find_critical_path(ledger().read_journal(run.run_id), read_dependencies(resources))),
        gaps=gaps,
        pair=about_pair,
        is_plan=run.operation == Operation.PLAN,
    )
    create_markdown_artifact(
        render_made(run.spec, made), key=f"report-{run.environment}", description=DESCRIPTIONS[run.operation]
    )
    return {
        "resources": len(resources),
        "counts": planned.counts.model_dump(),
        "gaps": [gap.summary for gap in gaps],
        **({"database": about_pair} if about_pair else {}),
    }


@task(**REPEATABLE)
def publish_removal_report(run: Run) -> dict[str, Any]:
    """Tell what was removed, and name everything that stays."""
    details = {step.name: step.detail or {} for step in ledger().read_steps(run.run_id)}
    destroyed = details["destroy_infrastructure"].get("counts", {}).get("destroy", 0)
    found = details["verify_removal"].get("found", [])
    text = render_removed(run.spec, destroyed, list_leftovers(run.spec), found)
    create_markdown_artifact(text, key=f"report-{run.environment}", description=DESCRIPTIONS[run.operation])
    return {"resources": 0}
