"""Runs flows in one warm process, one after another: a line of JSON asks for a run, a line of JSON tells how it ended.

A run of a worker is a new process, which takes seconds to import; the flow, its run in Prefect and its ledger are the
same here. `provision_twice` and `tear_down_twice` perform each step of the real plan two times.
"""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from prefect import Flow, flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Pending

from blocks.aws import AwsAccount, state_key
from domain.errors import RefusedError
from domain.provision import decide_plan_run, decide_provision
from domain.state import read_outputs, read_resources
from domain.status import Operation
from domain.step import Step
from domain.teardown import decide_teardown
from flows.account import bootstrap_account
from flows.backup import start_due_backups, take_backup, verify_backup
from flows.drill import drill_recovery, evaluate_recovery, fail_over
from flows.evidence import anchor_evidence
from flows.provision import plan_environment, provision_environment
from flows.sweep import sweep_runs
from flows.teardown import expire_environments, tear_down_environment
from tasks.outcome import load_account
from tasks.pair import observe_pair
from tasks.record import record_run
from tasks.run import Run
from tasks.steps import perform
from tasks.terraform import observe_infrastructure
from tests.flow_leaks import hide_secret, leak_secret


def perform_twice(run: Run, step: Step) -> None:
    """A step and the same step again; AssertionError where that changes anything, refusing is allowed."""
    perform(run, step)
    made = read_world(run.account, run.environment)
    with suppress(RefusedError):
        perform(run, step)
    again = read_world(run.account, run.environment)
    assert again == made, f"{step.name} again made {made} into {again}"


def read_world(account: AwsAccount, environment: str) -> dict[str, Any]:
    """All that an account holds of an environment on `terraform_data`: its state's content, plans, vault and lock."""
    state = account.read_state(environment) or {}
    return {
        "resources": {resource.address: resource.resource_id for resource in read_resources(state)},
        "outputs": read_outputs(state),
        "plans": list_objects(account, account.state_bucket, f"plans/{environment}/"),
        "vault": list_objects(account, account.vault_bucket, f"media/{environment}/"),
        "is_locked": account.read_lock(state_key(environment)) is not None,
    }


def list_objects(account: AwsAccount, bucket: str, prefix: str) -> list[str]:
    """The keys below a prefix, old versions too."""
    found = account.client("s3").list_object_versions(Bucket=bucket, Prefix=prefix)
    return sorted({row["Key"] for row in found.get("Versions", ())})


@flow
def plan_twice(environment: str, spec_version: int | None = None) -> None:
    """`plan_environment` with each step performed two times."""
    with record_run(environment, Operation.PLAN, spec_version) as run:
        for step in decide_plan_run(run.spec, observe_infrastructure(run), observe_pair(run)).steps:
            perform_twice(run, step)


@flow
def provision_twice(environment: str, spec_version: int | None = None) -> None:
    """`provision_environment` with each step performed two times."""
    with record_run(environment, Operation.PROVISION, spec_version) as run:
        for step in decide_provision(run.spec, observe_infrastructure(run), observe_pair(run)).steps:
            perform_twice(run, step)


@flow
def tear_down_twice(environment: str) -> None:
    """`tear_down_environment` with each step performed two times."""
    with record_run(environment, Operation.TEARDOWN) as run:
        for step in decide_teardown(run.spec, observe_pair(run)).steps:
            perform_twice(run, step)


#: Deployment and flow for each word that may be asked for.
FLOWS: dict[str, tuple[str, Flow[..., Any]]] = {
    "plan": ("plan_environment/plan", plan_environment),
    "provision": ("provision_environment/provision", provision_environment),
    "teardown": ("tear_down_environment/teardown", tear_down_environment),
    "expire": ("expire_environments/expire", expire_environments),
    "hide secret": ("plan_environment/plan", hide_secret),
    "leak secret": ("plan_environment/plan", leak_secret),
    "sweep": ("sweep_runs/sweep", sweep_runs),
    "anchor": ("anchor_evidence/anchor", anchor_evidence),
    "backup": ("take_backup/backup", take_backup),
    "verify": ("verify_backup/verify", verify_backup),
    "due backups": ("start_due_backups/due-backups", start_due_backups),
    "bootstrap": ("bootstrap_account/bootstrap", bootstrap_account),
    "drill": ("drill_recovery/drill", drill_recovery),
    "failover": ("fail_over/failover", fail_over),
    "evaluate": ("evaluate_recovery/evaluate", evaluate_recovery),
    "plan twice": ("plan_environment/plan", plan_twice),
    "provision twice": ("provision_environment/provision", provision_twice),
    "teardown twice": ("tear_down_environment/teardown", tear_down_twice),
}


def run_deployed(word: str, parameters: dict[str, Any], request_id: str | None) -> dict[str, Any]:
    """A run of a deployment, begun here: it is never in the queue, so the worker leaves it alone."""
    name, chosen = FLOWS[word]
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(name)
        flow_run = client.create_flow_run_from_deployment(
            deployment.id, parameters=parameters, state=Pending(), idempotency_key=request_id
        )
    return run_here(chosen, flow_run)


def retry_run(word: str, run_id: str) -> dict[str, Any]:
    """The same run once more, as by Prefect's Retry."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(run_id), Pending(), force=True)
        return run_here(FLOWS[word][1], client.read_flow_run(UUID(run_id)))


def run_here(chosen: Flow[..., Any], flow_run: FlowRun) -> dict[str, Any]:
    """Run a flow to its end, whatever that is; without heartbeats, because Prefect waits a second for their thread."""
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        state = run_flow(chosen, flow_run=flow_run, parameters=flow_run.parameters, return_type="state")
    return {"run_id": str(flow_run.id), "state": state.type.value, "message": state.message or ""}


def register_account(account: dict[str, Any]) -> dict[str, Any]:
    """Make an account's block known to Prefect."""
    described = AwsAccount.model_validate(account)
    described.save(described.name, overwrite=True)
    return {}


def read_account(name: str) -> dict[str, Any]:
    """An account's block."""
    return load_account(name).model_dump(mode="json")


COMMANDS: dict[str, Callable[..., dict[str, Any]]] = {
    "run": run_deployed,
    "retry": retry_run,
    "register": register_account,
    "account": read_account,
}


def main() -> None:
    """Until stdin ends. What flows print goes to stderr: stdout is for answers."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        command, arguments = json.loads(line)
        print(json.dumps(COMMANDS[command](*arguments)), file=answers, flush=True)


if __name__ == "__main__":
    main()
