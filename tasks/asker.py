"""Who asked for a run: the request that its idempotency key names, where that is a request for this very run.

Whoever reads Prefect reads the keys of others: one that was made for another run gives this one nothing.
"""

from datetime import datetime

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from blocks.ledger.rows import RequestRow
from domain.errors import PermanentError
from domain.status import Operation
from tasks.ledger import ledger

#: What its request says of a run's spec is what the run was started with; a teardown chooses its own.
OF_A_SPEC = (Operation.PLAN, Operation.PROVISION)


def read_flow_run() -> FlowRun:
    """This process's run, as Prefect has it. PermanentError outside of one."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise PermanentError("There is no flow run here.", "Start the flow through its deployment.")
    return context.flow_run


def read_asked_at() -> datetime:
    """When this run was asked for, by Prefect's clock; a schedule asks when it is due. A retry does not change it."""
    flow_run = read_flow_run()
    asked_at = flow_run.expected_start_time if flow_run.auto_scheduled else flow_run.created
    assert asked_at is not None, "Prefect has stored it"
    return asked_at


def find_request(
    flow_run: FlowRun, environment: str, operation: Operation, spec_version: int | None = None
) -> RequestRow | None:
    """The request for this run; None where its key names none, or one of another run, or one that has had its run."""
    found = ledger().read_request(flow_run.idempotency_key) if flow_run.idempotency_key else None
    if found is None or (found.environment, found.operation) != (environment, operation):
        return None
    if operation in OF_A_SPEC and found.spec_version != spec_version:
        return None
    return None if ledger().has_other_run(found.id, str(flow_run.id)) else found


def name_actor(flow_run: FlowRun, request: RequestRow | None) -> str:
    """Who asked; `schedule` or `prefect-ui` where nobody did through the console."""
    return request.actor if request else "schedule" if flow_run.auto_scheduled else "prefect-ui"
