"""What the worker uses of Prefect that Prefect may change in any release: each name stands here."""

import inspect
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import prefect.flow_engine
import prefect.results
import pytest
from prefect._flow_run_suspension import observe_flow_run_suspension
from prefect._internal.observers import FlowRunCancellingObserver
from prefect.client.schemas.objects import FlowRun
from prefect.runner._control_channel import ControlChannel
from prefect.runner._flow_run_executor import FlowRunExecutor, FlowRunExecutorContext
from prefect.runner._process_manager import ProcessHandle, ProcessManager
from prefect.runner._starter_engine import EngineCommandStarter
from prefect.states import Scheduled
from prefect.workers.base import BaseWorker
from prefect.workers.process import ProcessJobConfiguration, ProcessVariables, ProcessWorker

from deployments.worker import handed
from deployments.worker.starter import ForkJob
from deployments.worker.worker import WarmWorker

#: Private methods and functions with the parameters that we give them or that we take.
CALLED: list[tuple[Callable[..., Any], list[str]]] = [
    (BaseWorker._propose_pending_state, ["self", "flow_run"]),
    (BaseWorker._propose_submitting_state, ["self", "flow_run"]),
    (BaseWorker._give_worker_labels_to_flow_run, ["self", "flow_run_id"]),
    (BaseWorker._propose_crashed_state, ["self", "flow_run", "message"]),
    (BaseWorker._mark_flow_run_as_cancelled, ["self", "flow_run", "state_updates"]),
    (BaseWorker.get_and_submit_flow_runs, ["self"]),
    (FlowRunExecutorContext.create_executor, ["self", "flow_run", "starter", "resolve_flow", "propose_submitting"]),
    (FlowRunExecutor.submit, ["self", "task_status"]),
    (ControlChannel.register, ["self", "flow_run_id"]),
    (ControlChannel.unregister, ["self", "flow_run_id"]),
    (ProcessManager.add, ["self", "flow_run_id", "handle"]),
    (ProcessManager.remove, ["self", "flow_run_id"]),
    (ProcessManager.get, ["self", "flow_run_id"]),
    (ProcessManager.flow_run_ids, ["self"]),
    (ProcessHandle.__init__, ["self", "_process"]),
    (ProcessHandle.graceful_kill, ["self"]),
    (prefect.flow_engine.observe_flow_run_suspension, ["flow_run_id", "suspension_request", "polling_interval"]),
    (observe_flow_run_suspension, ["flow_run_id", "suspension_request", "polling_interval"]),
    (prefect.flow_engine.load_flow_run, ["flow_run_id"]),
    (prefect.results._read_server_default_result_storage_block_id, []),
    (ForkJob._base_environment, []),
    (ProcessJobConfiguration._base_environment, []),
]
#: Attributes by the method that sets them.
SET = {
    BaseWorker.__init__: [
        "_exit_stack", "_runs_task_group", "_submitting_flow_run_ids", "_cancelling_observer", "_work_pool_name",
        "_logger", "_client",
    ],
    FlowRunExecutorContext.__aenter__: ["_observer", "control_channel", "process_manager"],
    FlowRunCancellingObserver.__init__: ["on_cancelling"],
    FlowRunCancellingObserver.__aexit__: ["_is_shutting_down"],
}  # fmt: skip
#: What Prefect's own starter puts into a run's environment, and ours too.
VARIABLES = [
    "PREFECT__FLOW_RUN_ID",
    "PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS",
    "PREFECT__CONTROL_PORT",
    "PREFECT__CONTROL_TOKEN",
    "PREFECT__FLOW_ENTRYPOINT",
]


@pytest.mark.parametrize(("function", "parameters"), CALLED, ids=lambda value: getattr(value, "__qualname__", ""))
def test_what_is_called_takes_what_it_is_given(function: Callable[..., Any], parameters: list[str]) -> None:
    """A renamed or reordered parameter of Prefect fails here, not in a run."""
    assert list(inspect.signature(function).parameters)[: len(parameters)] == parameters


@pytest.mark.parametrize(("function", "names"), SET.items(), ids=lambda value: getattr(value, "__qualname__", ""))
def test_attributes_are_set_where_they_were(function: Callable[..., Any], names: list[str]) -> None:
    """The attributes are Prefect's, and are still called so."""
    assert [name for name in names if name not in function.__code__.co_names] == []


def test_a_run_gets_the_variables_of_prefects_own_starter() -> None:
    """Else it could not be cancelled in order, or would run its hooks twice."""
    assert [name for name in VARIABLES if name not in inspect.getsource(EngineCommandStarter.start)] == []


def test_a_run_is_handed_to_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was read, but Pending; another run is asked for, and so is one that is too long for the socket."""
    monkeypatch.setattr(prefect.flow_engine, "load_flow_run", None)
    monkeypatch.setattr(handed, "read_flow_run", lambda flow_run_id: f"asked for {flow_run_id}")
    run = FlowRun(flow_id=uuid4(), parameters={"environment": "dev"}, state=Scheduled(), name="plan dev")
    handed.install(handed.write_run(run))
    found = prefect.flow_engine.load_flow_run(run.id)
    assert (found.id, found.parameters, found.name) == (run.id, run.parameters, run.name)
    assert found.state
    assert found.state.is_pending()
    assert prefect.flow_engine.load_flow_run(other := uuid4()) == f"asked for {other}"
    assert handed.write_run(run.model_copy(update={"parameters": {"text": "x" * handed.LONGEST}})) == ""


def test_it_serves_the_pools_of_prefects_process_worker() -> None:
    """The same type, job variables and form; Prefect's own worker is still found under that type."""
    assert WarmWorker.type == ProcessWorker.type
    assert WarmWorker.job_configuration.json_template() == ProcessJobConfiguration.json_template()
    assert WarmWorker.job_configuration_variables is ProcessVariables
    assert BaseWorker.get_worker_class_from_type("process") is ProcessWorker
