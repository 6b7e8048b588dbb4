"""What Prefect must know before the first run: the work pool and every deployment of the catalog.

A deployment carries a digest of what it was made from as its version, so registering it again changes nothing.
"""

import hashlib
from dataclasses import asdict
from importlib import import_module

from prefect import Flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import VersionInfo
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.types.entrypoint import EntrypointType

from blocks.settings import CHECKOUT
from deployments.catalog import DEPLOYMENTS, WORK_POOL, Deployed


async def register_deployments() -> list[str]:
    """Create the work pool and the deployments; names of those that are new or were changed."""
    async with get_client() as client:
        await _create_pool(client)
        deployments = [_describe_deployment(deployed) for deployed in DEPLOYMENTS]
        changed = [deployment for deployment in deployments if not await _is_registered(client, deployment)]
        for deployment in changed:
            # Named here, because Prefect would take the version from git where the checkout is one.
            version = VersionInfo(type="terrarium:digest", version=str(deployment.version))
            await deployment.aapply(work_pool_name=WORK_POOL, version_info=version)
        return [deployment.name for deployment in changed]


async def _create_pool(client: PrefectClient) -> None:
    pool = WorkPoolCreate(name=WORK_POOL, type="process", description="All flows of this checkout, one process each.")
    try:
        await client.create_work_pool(pool)
    except ObjectAlreadyExists:
        return


def _describe_deployment(deployed: Deployed) -> RunnerDeployment:
    """By module path: the flow is imported from the checkout, once, and not loaded a second time as a script."""
    module, _, name = deployed.entrypoint.rpartition(".")
    flow: Flow[..., object] = getattr(import_module(module), name)
    deployment = RunnerDeployment.from_flow(
        flow,
        name=deployed.name,
        description=deployed.description,
        schedule=deployed.schedule,
        entrypoint_type=EntrypointType.MODULE_PATH,
        work_pool_name=WORK_POOL,
        job_variables={"working_dir": str(CHECKOUT)},
    )
    deployment.version = _digest(deployed, deployment)
    return deployment


def _digest(deployed: Deployed, deployment: RunnerDeployment) -> str:
    """Of everything but the schedule's anchor, which is the time at which the catalog was read."""
    schedule = asdict(deployed.schedule) | {"anchor_date": None} if deployed.schedule else None
    made_of = (deployed.entrypoint, deployed.description, schedule, deployment.job_variables)
    text = f"{made_of}{deployment._parameter_openapi_schema.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


async def _is_registered(client: PrefectClient, deployment: RunnerDeployment) -> bool:
    try:
        known = await client.read_deployment_by_name(f"{deployment.flow_name}/{deployment.name}")
    except ObjectNotFound:
        return False
    return known.version == deployment.version
