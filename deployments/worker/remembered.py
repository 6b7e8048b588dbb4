"""What the worker has asked Prefect for and need not ask again: each question costs the server more than the fork."""

import time
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import Flow
from prefect.client.schemas.responses import DeploymentResponse

#: Prefect's worker reads a run's deployment twice before its start, milliseconds apart.
DEPLOYMENT_SECONDS = 1.0


class RememberingClient:
    """Prefect's client. A deployment is read once a second, a flow once: of a flow the worker takes only the name."""

    def __init__(self, client: PrefectClient) -> None:
        self._client = client
        self._deployments: dict[UUID, tuple[float, DeploymentResponse]] = {}
        self._flows: dict[UUID, Flow] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def read_deployment(self, deployment_id: UUID) -> DeploymentResponse:
        """As Prefect has it, or had it within the last second. Each caller gets an object of its own."""
        at, deployment = self._deployments.get(deployment_id, (0.0, None))
        if deployment is None or time.monotonic() - at > DEPLOYMENT_SECONDS:
            deployment = await self._client.read_deployment(deployment_id)
            self._deployments[deployment_id] = (time.monotonic(), deployment)
        return deployment.model_copy(deep=True)

    async def read_flow(self, flow_id: UUID) -> Flow:
        """As Prefect has it, or had it when the first run of it was started here."""
        if flow_id not in self._flows:
            self._flows[flow_id] = await self._client.read_flow(flow_id)
        return self._flows[flow_id]
