"""What there is to recover an RDS database with, and how its recovery is rehearsed: on a copy, through AWS's API.

Order: a second read replica is made beside the environment's own, and a name beside its own; the copy is promoted, the
name is led to it, and both go. RDS promotes for good, and what is written to a promoted replica is on it alone: so a
drill never promotes the environment's replica, and never leads the environment's clients anywhere.
"""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from domain.finding import Finding
from domain.rds import AVAILABLE, Instance
from domain.spec import EnvironmentSpec
from domain.step import Step, Undo

#: An address of the documentation range: Terraform writes it where nothing answers yet.
PLACEHOLDER = "192.0.2.1"
COVERED = "What it changes was made for this run alone; the undo of the step that made it takes it away."
READS_ONLY = "It changes nothing."
KEPT_REPORT = "A report of what happened stays true after a failure."


class Record(BaseModel):
    """A record set of a zone. `values` are empty for an alias; `set_identifier` tells two of one name apart."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: str
    values: tuple[str, ...] = ()
    ttl_seconds: int | None = None
    set_identifier: str = ""
    alias: str = ""


class RdsRecovery(BaseModel):
    """The environment's own instance, its read replica in the recovery region, and the records of its zone."""

    model_config = ConfigDict(frozen=True)

    primary: Instance | None = None
    replica: Instance | None = None
    zone_id: str = ""
    records: tuple[Record, ...] = ()

    @property
    def database_record(self) -> Record | None:
        """The record by which clients could find the database; None where they have its endpoint itself."""
        endpoint = self.primary.endpoint if self.primary else ""
        is_it = (one for one in self.records if one.type == "CNAME" and endpoint and endpoint in one.values)
        return next(is_it, None)


def check_rds(spec: EnvironmentSpec, observed: RdsRecovery) -> Iterator[Finding]:
    """What is not as a recovery needs it."""
    yield from _check_instances(spec, observed)
    if spec.dns and not observed.zone_id:
        yield Finding(
            summary=f"there is no zone {spec.dns.zone}",
            detail="The file has one, and Route 53 does not.",
            resolution=f"`terrarium env apply {spec.name}` makes it.",
        )
    elif spec.dns and observed.primary and observed.database_record is None:
        yield Finding(
            summary=f"no record of {spec.dns.zone} leads to the database",
            detail="Clients know the endpoint of the primary itself; after a failover each has to be told another one.",
            resolution=f"Make a CNAME in the zone, such as database.{spec.dns.zone}, and let the services use it.",
            is_blocking=False,
        )
    if any(PLACEHOLDER in one.values for one in observed.records):
        yield Finding(
            summary="nothing answers in the recovery region",
            detail=f"The standby's record is {PLACEHOLDER}, which stands for nothing.",
            resolution="Bring the services up there in a recovery and write their address into that record.",
            is_blocking=False,
        )


def _check_instances(spec: EnvironmentSpec, observed: RdsRecovery) -> Iterator[Finding]:
    if observed.primary is None:
        yield Finding(
            summary="there is no RDS instance of its",
            detail="Its account lists none of that name: it was never applied, or is on a cloud that makes nothing.",
            resolution=f"`terrarium env apply {spec.name}` makes it.",
        )
        return
    if observed.replica is None:
        yield Finding(
            summary="it has no read replica in a recovery region",
            detail="Its file asks for none, or it was never made; automated backups of its region are no replica.",
            resolution="Set recovery_region and data.database.has_replica: true, and apply.",
        )
    elif observed.replica.source not in (observed.primary.arn, observed.primary.id):
        yield Finding(
            summary="its read replica replicates no more",
            detail=f"It was promoted, or is of another source: '{observed.replica.source}'.",
            resolution="Find out who promoted it and what was written there, before it is replaced by a new one.",
        )
    for one in (observed.primary, observed.replica):
        if one and one.status != AVAILABLE:
            yield Finding(
                summary=f"instance {one.id} is {one.status}",
                detail="A replica is made of, and promoted, only where both are available.",
                resolution="Wait until it is available, or see its events in the AWS console.",
            )


def list_drill_steps(spec: EnvironmentSpec, observed: RdsRecovery) -> Iterator[Step]:
    """The rehearsal; without a zone there is no name to be led anywhere."""
    assert observed.primary is not None
    assert observed.replica is not None
    arguments = {"source": observed.primary.model_dump(mode="json"), "like": observed.replica.model_dump(mode="json")}
    yield Step(name="create_drill_replica", arguments=arguments, undo=Undo(name="delete_drill_replica"))
    if spec.dns:
        about = {"zone_id": observed.zone_id, "zone": spec.dns.zone}
        first = {**about, "target": observed.primary.endpoint}
        yield Step(name="create_drill_record", arguments=first, undo=Undo(name="delete_drill_record", arguments=about))
    yield Step(name="promote_drill_replica", no_undo=COVERED)
    if spec.dns:
        yield Step(name="switch_drill_record", arguments=about, no_undo=COVERED)
    kept = {"observed": observed.model_dump(mode="json")}
    yield Step(name="verify_rds_drill", arguments=kept, no_undo=READS_ONLY)
    if spec.dns:
        yield Step(name="delete_drill_record", arguments=about, no_undo=COVERED)
    yield Step(name="delete_drill_replica", no_undo=COVERED)
    yield Step(name="publish_rds_drill_report", arguments=kept, no_undo=KEPT_REPORT)
