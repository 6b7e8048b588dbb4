"""What there is to recover an RDS database with, as the account tells it now. Reads only."""

from blocks.rds import read_instance
from blocks.route53 import find_zone, list_records
from domain.rds import name_instance, name_replica
from domain.rds_recovery import RdsRecovery
from domain.spec import EnvironmentSpec
from tasks.outcome import load_account


def observe_rds(spec: EnvironmentSpec) -> RdsRecovery | None:
    """The instance, its replica and the zone's records; None where the environment's database is none of RDS's."""
    if spec.data.database is None or spec.data.has_pair:
        return None
    account = load_account(spec.account)
    zone_id = find_zone(account, spec.dns.zone) if spec.dns else ""
    replica_region = spec.recovery_region
    return RdsRecovery(
        primary=read_instance(account, spec.region, name_instance(spec.name)),
        replica=read_instance(account, replica_region, name_replica(spec.name)) if replica_region else None,
        zone_id=zone_id,
        records=list_records(account, zone_id) if zone_id else (),
    )
