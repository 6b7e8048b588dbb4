"""A Prefect worker whose runs are forked from a warm process, and which polls as soon as Prefect tells of a run.

Everything else is Prefect's own: the work pool of type `process`, limits, logs, cancelling, crash marking, the poll.
What is private in Prefect and used here is named by tests/unit/test_worker.py.
"""

import gc
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import anyio
import anyio.abc
from prefect._internal.observers import FlowRunCancellingObserver
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter
from prefect.runner._flow_run_executor import FlowRunExecutorContext
from prefect.runner._process_manager import ProcessHandle
from prefect.workers.base import BaseWorker
from prefect.workers.process import ProcessJobConfiguration, ProcessVariables, ProcessWorkerResult

from deployments.worker.processes import RunProcess, Zygote, find_process, reap_orphans
from deployments.worker.remembered import RememberingClient
from deployments.worker.starter import ForkJob, ForkStarter, NoHooks, build_environment

#: What Prefect calls a run that waits for a worker: a new one, and one that a person lets run again.
DUE = ["prefect.flow-run.Scheduled", "prefect.flow-run.AwaitingRetry"]
#: Seconds. An event can come before the row that it tells of can be read.
LOOKS = (0, 0.1, 0.5)
RECONNECT_SECONDS = 1.0
CLAIM_SECONDS = 0.01
LIVE = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
HOST = socket.gethostname()


class WarmWorker(BaseWorker[ProcessJobConfiguration, ProcessVariables, ProcessWorkerResult]):
    """Serves the work pools of Prefect's process worker. A run's infrastructure id is `HOST:PID`."""

    type = "process"
    job_configuration = ForkJob
    job_configuration_variables = ProcessVariables

    @classmethod
    def __dispatch_key__(cls) -> str:
        """Under the type's name Prefect's own worker is found, as before."""
        return "terrarium"

    def __init__(self, work_pool_name: str, name: str) -> None:
        super().__init__(work_pool_name, name=name)
        self.zygote = Zygote(build_environment())
        self._is_ready = anyio.Event()
        self._is_ending = False
        self._polling = anyio.Lock()
        self._proposed: set[UUID] = set()
        self._running: set[UUID] = set()
        self._due: set[UUID] = set()
        self._woken = anyio.Event()

    async def serve(self) -> None:
        """Work until cancelled: Prefect's loops with its health page, and beside them the events."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._follow_events)
            group.start_soon(self._poll_when_woken)
            await self.start(with_healthcheck=True)

    async def setup(self) -> None:
        """Start the zygote, so that it is warm before the first run, and Prefect's supervision of processes."""
        await super().setup()
        self._client = cast(PrefectClient, RememberingClient(self.client))
        self._exit_stack.callback(self.zygote.end)
        self.zygote.start()
        self._executors = await self._exit_stack.enter_async_context(FlowRunExecutorContext())
        self._is_ready.set()
        gc.freeze()  # what is there now stays: no garbage collection need look at it

    async def end_runs(self) -> None:
        """Take no further run; SIGTERM to each, and wait until all of them have ended and Prefect knows."""
        self._is_ending = True
        if not self._is_ready.is_set():
            return
        processes = self._executors.process_manager
        for handle in map(processes.get, processes.flow_run_ids()):
            with suppress(ProcessLookupError):
                handle.graceful_kill()
        while self._running or self._submitting_flow_run_ids:
            await anyio.sleep(CLAIM_SECONDS)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        task_status: anyio.abc.TaskStatus[Any] | None = None,
    ) -> ProcessWorkerResult:
        """Run a flow in a process of its own, and return when that has ended and Prefect knows how."""
        starter = ForkStarter(self.zygote, self._executors.control_channel, configuration)
        executor = self._executors.create_executor(flow_run, starter, hook_runner=NoHooks(), propose_submitting=False)
        self._running.add(flow_run.id)
        try:
            execution = await executor.submit(task_status=_PlaceStatus(task_status or anyio.TASK_STATUS_IGNORED))
        finally:
            self._running.discard(flow_run.id)
        if execution is None or execution.status_code is None:
            raise RuntimeError("The run's process did not start.")
        return ProcessWorkerResult(status_code=execution.status_code, identifier=f"{HOST}:{execution.handle.pid}")

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Poll, and hold the next poll until what was claimed is Pending: it could overshoot the pool's limit."""
        async with self._polling:
            if self._is_ending:
                return []
            self._reap_orphans()
            runs = await super().get_and_submit_flow_runs()
            claimed = {run.id for run in runs}
            while claimed & self._submitting_flow_run_ids - self._proposed:
                await anyio.sleep(CLAIM_SECONDS)
            self._proposed.clear()
            return runs

    async def _propose_pending_state(self, flow_run: FlowRun) -> bool:
        try:
            return await super()._propose_pending_state(flow_run)
        finally:
            self._proposed.add(flow_run.id)

    async def _propose_submitting_state(self, flow_run: FlowRun) -> None:
        """Left out: a run is forked within milliseconds, and each state costs the server more than the fork."""

    async def _give_worker_labels_to_flow_run(self, flow_run_id: UUID) -> None:
        """Left out: they name this worker and its pool, which stand in the run already."""

    def _reap_orphans(self) -> None:
        processes = self._executors.process_manager
        handles = map(processes.get, processes.flow_run_ids())
        reap_orphans({self.zygote.pid, *(handle.pid for handle in handles if handle)})

    async def _poll_when_woken(self) -> None:
        """Poll for what events told of, until it was seen; what is not seen is left to the poll that always goes on."""
        await self._is_ready.wait()
        while True:
            await self._woken.wait()
            self._woken = anyio.Event()
            for delay in LOOKS:
                await anyio.sleep(delay)
                with suppress(Exception):  # the poll that always goes on meets it too, and says so
                    self._due -= {run.id for run in await self.get_and_submit_flow_runs()}
                if not self._due:
                    break
            else:
                self._due.clear()

    async def _follow_events(self) -> None:
        """Hear of each run of this pool that is due; after a lost connection, catch up first."""
        await self._is_ready.wait()
        while True:
            try:
                await self._follow_connection()
            except Exception as error:
                self._logger.info("No events from Prefect (%s); the poll goes on.", error)
            await anyio.sleep(RECONNECT_SECONDS)

    async def _follow_connection(self) -> None:
        pool = EventAnyResourceFilter(id=[f"prefect.work-pool.{self.work_pool.id}"])
        wanted = EventFilter(event=EventNameFilter(name=DUE), any_resource=pool)
        async with get_events_subscriber(filter=wanted, reconnection_attempts=0) as events:
            await self._catch_up()
            async for event in events:
                self._due.add(UUID(event.resource.id.removeprefix("prefect.flow-run.")))
                self._woken.set()

    async def _catch_up(self) -> None:
        """Hear of cancels again, and take over the runs of this host that nobody watches."""
        for observer in (self._executors._observer, self._cancelling_observer):
            if observer is not None:
                await _renew(observer)
        wanted = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=LIVE)))
        pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[self._work_pool_name]))
        for run in await self.client.read_flow_runs(flow_run_filter=wanted, work_pool_filter=pool):
            host, _, pid = (run.infrastructure_pid or "").partition(":")
            if host != HOST or run.id in self._running | self._submitting_flow_run_ids:
                continue
            process = find_process(int(pid), run.id)
            # One that is Pending without a process may be about to be started again, by another worker.
            if process or run.state_type is not StateType.PENDING:
                self._running.add(run.id)
                self._runs_task_group.start_soon(self._take_over, run, process)

    async def _take_over(self, run: FlowRun, process: RunProcess | None) -> None:
        """Watch the process of a run to its end, so that it can be cancelled, and tell Prefect where it has not."""
        try:
            if process:
                await self._executors.process_manager.add(run.id, ProcessHandle(process))
                if run.state_type is StateType.CANCELLING:
                    self._executors._observer.on_cancelling(run.id)
                await process.wait()
                await self._executors.process_manager.remove(run.id)
            await self._report_end(run.id)
        finally:
            self._running.discard(run.id)

    async def _report_end(self, run_id: UUID) -> None:
        run = await self.client.read_flow_run(run_id)
        if run.state_type not in LIVE:
            return
        if run.state_type is StateType.CANCELLING:
            await self._mark_flow_run_as_cancelled(run, {"message": "The run's process has ended."})
        else:
            await self._propose_crashed_state(run, "The run's process ended while no worker watched it.")


@dataclass(frozen=True)
class _PlaceStatus:
    """Tells the worker where a run's process is, once Prefect's executor knows the process."""

    outer: anyio.abc.TaskStatus[str]

    def started(self, handle: ProcessHandle) -> None:
        self.outer.started(f"{HOST}:{handle.pid}")


async def _renew(observer: FlowRunCancellingObserver) -> None:
    """After its connection was lost, or closed in order, an observer hears of cancels late or never."""
    await observer.__aexit__(None, None, None)
    observer._is_shutting_down = False
    await observer.__aenter__()
