"""What Prefect's executor of a run asks of us: the start of its process, and hooks."""

import os
from dataclasses import dataclass
from functools import cache
from uuid import UUID

import anyio
import anyio.abc
from prefect.client.schemas.objects import Flow, FlowRun, State, WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect.runner._control_channel import ControlChannel
from prefect.runner._process_manager import ProcessHandle
from prefect.settings import get_current_settings
from prefect.utilities.processutils import sanitize_subprocess_env
from prefect.workers.process import ProcessJobConfiguration

from blocks.settings import CHECKOUT
from deployments.worker.handed import write_run
from deployments.worker.processes import Zygote


class ForkJob(ProcessJobConfiguration):
    """Prefect's configuration of a process, with what the run would otherwise ask Prefect for: where its flow is."""

    @classmethod
    @cache
    def _base_environment(cls) -> dict[str, str]:
        """Prefect's settings spelt out, once: they stay as they are while a worker runs."""
        return super()._base_environment()

    def prepare_for_flow_run(
        self,
        flow_run: FlowRun,
        deployment: DeploymentResponse | None = None,
        flow: Flow | None = None,
        work_pool: WorkPool | None = None,
        worker_name: str | None = None,
        worker_id: UUID | None = None,
    ) -> None:
        """A deployment by module path, as ours are, has nothing to fetch before its flow can be imported."""
        super().prepare_for_flow_run(flow_run, deployment, flow, work_pool, worker_name, worker_id)
        if deployment and deployment.entrypoint and ":" not in deployment.entrypoint and not deployment.pull_steps:
            self.env["PREFECT__FLOW_ENTRYPOINT"] = deployment.entrypoint


@dataclass(frozen=True)
class ForkStarter:
    """Starts a run as Prefect's EngineCommandStarter does, but for the fork."""

    zygote: Zygote
    control_channel: ControlChannel
    configuration: ProcessJobConfiguration

    async def start(
        self,
        flow_run: FlowRun,
        task_status: anyio.abc.TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Tell the process as soon as it is there, and return when it has ended."""
        port, token = self.control_channel.register(flow_run.id)
        environment = sanitize_subprocess_env(
            {
                **self.configuration.env,
                "PREFECT__FLOW_RUN_ID": str(flow_run.id),
                "PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS": "false",
                "PREFECT__CONTROL_PORT": str(port),
                "PREFECT__CONTROL_TOKEN": token,
            }
        )
        folder = str(self.configuration.working_dir or CHECKOUT)
        try:
            process = await anyio.to_thread.run_sync(
                self.zygote.fork, flow_run.id, folder, environment, write_run(flow_run)
            )
        except BaseException:
            self.control_channel.unregister(flow_run.id)
            raise
        task_status.started(ProcessHandle(process))
        await process.wait()


class NoHooks:
    """Our flows have no hooks for a crash or a cancel, because SIGKILL runs none: the ledger says what to undo.

    So the worker imports no flow, and holds no old code of one. A test of the house looks at every flow.
    """

    async def run_cancellation_hooks(self, flow_run: FlowRun, state: State) -> None:
        """Nothing."""

    async def run_crashed_hooks(self, flow_run: FlowRun, state: State) -> None:
        """Nothing."""


def build_environment() -> dict[str, str]:
    """The zygote's: that of the worker with Prefect's settings spelt out, as each run gets them too."""
    return {**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True)}
