"""What a specification asks for and this version does not make: named in the report, never a failure."""

from collections.abc import Collection, Iterator

from pydantic import BaseModel, ConfigDict

from domain.secret import list_unconnected
from domain.spec import EnvironmentSpec


class Gap(BaseModel):
    """One thing that is asked for and not there: `summary` names it, `detail` says why, `resolution` the way out."""

    model_config = ConfigDict(frozen=True)

    summary: str
    detail: str
    resolution: str


def list_gaps(
    spec: EnvironmentSpec, known_contexts: Collection[str], backends: Collection[str], pair_version: str = ""
) -> list[Gap]:
    """The gaps of a specification.

    `known_contexts` are the names in the kubeconfig that the run can read, `backends` the connected ones of secrets,
    `pair_version` is what its database pair runs, such as 15.18, "" without one.
    """
    return [
        *_cloud_gaps(spec),
        *_pair_gaps(spec, pair_version),
        *_cluster_gaps(spec, known_contexts),
        *_workload_gaps(spec),
        *_recovery_gaps(spec),
        *_secret_gaps(spec, backends),
    ]


def _cloud_gaps(spec: EnvironmentSpec) -> Iterator[Gap]:
    if spec.cloud == "terraform_data":
        yield Gap(
            summary="infrastructure is rehearsed, not made",
            detail="The cloud terraform_data keeps one record for each part and makes nothing.",
            resolution="Set `cloud: aws` to make it.",
        )


def _pair_gaps(spec: EnvironmentSpec, version: str) -> Iterator[Gap]:
    """A pair runs the programs of the machine, and has no snapshots."""
    database = spec.data.database
    if database is None or not database.is_pair:
        return
    if version and version.partition(".")[0] != database.version.partition(".")[0]:
        yield Gap(
            summary=f"the database pair is PostgreSQL {version}, not {database.version}",
            detail="A pair runs the PostgreSQL programs of this machine.",
            resolution="Install that version and name its folder with TERRARIUM_POSTGRES_BIN_DIR before it is made.",
        )
    if spec.protection.final_snapshot:
        yield Gap(
            summary="the database pair has no final snapshot",
            detail="A teardown removes its data; only the WAL archive stays.",
            resolution="Take a backup before the teardown.",
        )


def _cluster_gaps(spec: EnvironmentSpec, known_contexts: Collection[str]) -> Iterator[Gap]:
    context, host = spec.cluster.context, spec.cluster.of
    if context and context not in known_contexts:
        known = ", ".join(sorted(known_contexts)) or "none"
        yield Gap(
            summary=f"kubeconfig context {context} is missing",
            detail=f"The kubeconfig of the worker has these contexts: {known}.",
            resolution=f"Add {context} to the worker's kubeconfig, or name another context in cluster.context.",
        )
    if host:
        yield Gap(
            summary=f"namespace {spec.name} in the cluster of {host} is not made",
            detail="This version makes infrastructure; namespaces come with workloads.",
            resolution=f"Create it in the cluster of {host} by hand: kubectl create namespace {spec.name}.",
        )


def _workload_gaps(spec: EnvironmentSpec) -> Iterator[Gap]:
    later = "This version makes infrastructure; workloads come later, through the Kubernetes client."
    if spec.services:
        yield Gap(
            summary=f"services are not deployed: {', '.join(sorted(spec.services))}",
            detail=later,
            resolution="Deploy them with your own pipeline to the endpoints of this report.",
        )
    if spec.data.cache:
        yield Gap(
            summary=f"cache ({spec.data.cache.engine}) is not made",
            detail=later,
            resolution="Run one beside the services, or take data.cache out of the file.",
        )


def _recovery_gaps(spec: EnvironmentSpec) -> Iterator[Gap]:
    has_replica = bool(spec.data.database and spec.data.database.has_replica)
    if spec.recovery.drill and not spec.data.has_pair and not has_replica:
        yield Gap(
            summary="its scheduled drills are refused",
            detail="A drill needs a pair of our own, or an RDS database with a read replica in the recovery region.",
            resolution="Set data.database.has_replica: true or provider: postgres, or take recovery.drill out.",
        )
    if spec.recovery.scope == "pilot_light":
        yield Gap(
            summary="no pilot light is kept in the recovery region",
            detail="A drill measures the data and its name; services are not started there.",
            resolution="Set recovery.scope: data, which is what is measured.",
        )


def _secret_gaps(spec: EnvironmentSpec, backends: Collection[str]) -> Iterator[Gap]:
    """On the emulator alone: with a real account such a reference fails the plan."""
    for name, secret in list_unconnected(spec, backends).items():
        yield Gap(
            summary=f"secret {name} was not looked up",
            detail=f"It is a reference to {secret.path} in {secret.backend}, and no {secret.backend} is connected.",
            resolution="`terrarium doctor` says how to have a local Vault; docs/security.md, how to connect your own.",
        )
