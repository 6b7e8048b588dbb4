"""What Prefect must know before the first run: the work pool and every deployment of the catalog.

A deployment carries a digest of what it was made from as its version, so registering it again changes nothing.
"""

import hashlib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import VersionInfo
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.types.entrypoint import EntrypointType
from ruamel.yaml import YAML

from blocks.settings import CHECKOUT
from deployments.catalog import DEFAULT, DEPLOYMENTS, NO_LONGER_SCHEDULED, UNLIMITED, WORK_POOL, Deployed
from domain.errors import RefusedError

JOB_TEMPLATE = Path(__file__).parent / "kubernetes" / "job-template.yaml"
#: What a deployment tells the worker beside the pool's own template. A job's folder is its image's.
JOB_VARIABLES: Mapping[str, Mapping[str, str]] = {"process": {"working_dir": str(CHECKOUT)}, "kubernetes": {}}


def describe_processes() -> WorkPoolCreate:
    """A pool whose worker starts each run as a process beside itself."""
    return WorkPoolCreate(name=WORK_POOL, type="process", description="All flows of this checkout, one process each.")


def describe_jobs(image: str, namespace: str) -> WorkPoolCreate:
    """A pool whose worker starts each run as a Kubernetes job of that image, as the template says."""
    template = YAML(typ="safe").load(JOB_TEMPLATE)
    for name, value in (("image", image), ("namespace", namespace)):
        template["variables"]["properties"][name]["default"] = value
    description = "All flows of the image, one Kubernetes job each."
    return WorkPoolCreate(name=WORK_POOL, type="kubernetes", description=description, base_job_template=template)


async def register_deployments(pool: WorkPoolCreate, runs_at_once: int) -> list[str]:
    """Create or update the work pool, its queues and the deployments; names of the deployments that changed.

    `runs_at_once` is the limit of the default queue: a further run waits in it, and is Late in Prefect meanwhile.
    """
    async with get_client() as client:
        await _create_pool(client, pool)
        await _set_limit(client, DEFAULT, runs_at_once)
        await _set_limit(client, UNLIMITED, None)
        deployments = [_describe_deployment(deployed, pool.type) for deployed in DEPLOYMENTS]
        changed = [deployment for deployment in deployments if not await _is_registered(client, deployment)]
        for deployment in changed:
            # Named here, because Prefect would take the version from git where the checkout is one.
            version = VersionInfo(type="terrarium:digest", version=str(deployment.version))
            deployment_id = await deployment.aapply(work_pool_name=WORK_POOL, version_info=version)
            if deployment.name in NO_LONGER_SCHEDULED:
                await _drop_schedules(client, deployment_id)
        return [deployment.name for deployment in changed]


async def _drop_schedules(client: PrefectClient, deployment_id: UUID) -> None:
    """Prefect keeps those of a deployment that is registered again without one."""
    for schedule in await client.read_deployment_schedules(deployment_id):
        await client.delete_deployment_schedule(deployment_id, schedule.id)


async def _create_pool(client: PrefectClient, pool: WorkPoolCreate) -> None:
    """A pool that is there gets the template of this version. RefusedError where it is of another type."""
    try:
        await client.create_work_pool(pool)
    except ObjectAlreadyExists:
        known = await client.read_work_pool(pool.name)
        if known.type != pool.type:
            raise RefusedError(
                f"The work pool {pool.name} is of type {known.type}, and a pool cannot become one of type {pool.type}.",
                f"Stop its worker, delete it with `prefect work-pool delete {pool.name}`, and register again.",
            ) from None
        if pool.base_job_template and known.base_job_template != pool.base_job_template:
            update = WorkPoolUpdate(base_job_template=pool.base_job_template)
            await client.update_work_pool(pool.name, update)


async def _set_limit(client: PrefectClient, name: str, limit: int | None) -> None:
    """How many runs of a queue of the pool may be Pending or Running; None for any number."""
    try:
        queue = await client.read_work_queue_by_name(name, work_pool_name=WORK_POOL)
    except ObjectNotFound:
        queue = await client.create_work_queue(name, work_pool_name=WORK_POOL)
    if queue.concurrency_limit != limit:
        await client.update_work_queue(queue.id, concurrency_limit=limit)


def _describe_deployment(deployed: Deployed, pool_type: str) -> RunnerDeployment:
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
        work_queue_name=deployed.queue,
        job_variables=dict(JOB_VARIABLES[pool_type]),
    )
    deployment.version = _digest(deployed, deployment)
    return deployment


def _digest(deployed: Deployed, deployment: RunnerDeployment) -> str:
    made_of = (deployed.entrypoint, deployed.description, deployed.schedule, deployed.queue, deployment.job_variables)
    text = f"{made_of}{deployment._parameter_openapi_schema.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


async def _is_registered(client: PrefectClient, deployment: RunnerDeployment) -> bool:
    try:
        known = await client.read_deployment_by_name(f"{deployment.flow_name}/{deployment.name}")
    except ObjectNotFound:
        return False
    return known.version == deployment.version
