"""Temporary environments: who is told that one ends, and how its teardown is started."""

import uuid

from prefect import get_run_logger, task
from prefect.deployments import run_deployment

from domain.status import Operation
from domain.teardown import Due, Temporary
from tasks.ledger import ledger
from tasks.retry import REPEATABLE

#: The flow that removes an environment, as Prefect names it.
TEARDOWN = "tear_down_environment/teardown"
ACTOR = "ttl"


def read_temporary() -> list[Temporary]:
    """The live environments with an end, and what was already said and done about it."""
    return [
        Temporary.model_validate(row.model_dump(include=set(Temporary.model_fields)))
        for row in ledger().list_temporary()
    ]


def act_on_due(due: Due) -> None:
    """Warn, or start the teardown."""
    ACTIONS[due.action](due)


@task(**REPEATABLE)
def warn_owner(due: Due) -> None:
    """Tell in the run's log and in the ledger that an environment ends soon; `env list` shows when."""
    get_run_logger().warning(
        "%s expires at %s. To keep it: terrarium env extend %s 8h",
        due.environment, f"{due.expires_at:%Y-%m-%d %H:%M} UTC", due.environment,
    )  # fmt: skip
    ledger().add_notice(due.environment, "warn", due.expires_at)


@task(**REPEATABLE)
def start_teardown(due: Due) -> None:
    """Start the teardown of an expired environment. Its request's id is made of what is due: once for each."""
    request_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"terrarium:{due.model_dump_json()}"))
    ledger().add_request(request_id, due.environment, Operation.TEARDOWN, None, None, ACTOR, "its TTL has ended")
    run_deployment(
        TEARDOWN, parameters={"environment": due.environment}, timeout=0, as_subflow=False, idempotency_key=request_id
    )
    ledger().add_notice(due.environment, "expire", due.expires_at)


ACTIONS = {"warn": warn_owner, "expire": start_teardown}
