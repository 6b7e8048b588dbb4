"""A run as the worker has read it, handed to its process, which would otherwise ask Prefect for it first.

Prefect's engine reads it again as soon as it is RUNNING, so nothing that a person changes meanwhile is lost.
"""

from uuid import UUID

import prefect.flow_engine
from prefect.client.schemas.objects import FlowRun
from prefect.states import Pending

#: Characters. A longer one, with long parameters, is not handed over: the whole message has to fit into the socket.
LONGEST = 50_000

read_flow_run = prefect.flow_engine.load_flow_run


def write_run(flow_run: FlowRun) -> str:
    """For the process of a run that Prefect has just made Pending; empty where it is too long."""
    text = flow_run.model_copy(update={"state": Pending()}).model_dump_json()
    return text if len(text) <= LONGEST else ""


def install(text: str) -> None:
    """For the one run of this process."""
    handed = FlowRun.model_validate_json(text)

    def load_flow_run(flow_run_id: UUID) -> FlowRun:
        return handed if flow_run_id == handed.id else read_flow_run(flow_run_id)

    prefect.flow_engine.load_flow_run = load_flow_run
