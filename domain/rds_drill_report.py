"""The report of a drill through AWS's API: what was done, what was not measured and why, and what to mend.

Invariant: its status is never `passed`: no client wrote while it ran, so nobody knows an outage or a loss.
"""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.drill_report import SCOPES, StepTime, draw_list, draw_table, draw_timeline
from domain.rds import AVAILABLE, Instance
from domain.rds_recovery import PLACEHOLDER, RdsRecovery, Record


class RdsDrillReport(BaseModel):
    """What a drill of RDS showed. `promotion_seconds` and `record_seconds` are AWS's, never an emulator's."""

    model_config = ConfigDict(frozen=True)

    status: Literal["incomplete", "failed"]
    mode: str = "graceful"
    fault: str | None = None
    old_primary: str
    new_primary: str
    promotion_seconds: float | None
    record_seconds: float | None
    not_measured: dict[str, str]
    scope: str
    approved_by: str | None
    steps: tuple[StepTime, ...]
    to_mend: tuple[str, ...]


def judge_rds_drill(
    before: RdsRecovery, after: RdsRecovery, promoted: Instance | None, record: Record | None
) -> Iterator[str]:
    """What is not as it has to be after promotion and switch: the copy, its name, and the environment's own."""
    if promoted is None:
        yield "the drill's replica is gone"
        return
    if promoted.source or promoted.status != AVAILABLE:
        yield f"the promoted copy is {promoted.status}, its source is '{promoted.source}'"
    if promoted.is_public or not promoted.is_encrypted:
        yield "the promoted copy is not private and encrypted"
    if before.primary and promoted.engine_version != before.primary.engine_version:
        yield f"the promoted copy is of {promoted.engine_version}, the primary of {before.primary.engine_version}"
    if before.zone_id and (record is None or promoted.endpoint not in record.values):
        yield f"the drill's name leads to {record.values if record else 'nothing'}, not to {promoted.endpoint}"
    if _name_own(after) != _name_own(before):
        yield "the environment's own primary or replica has changed meanwhile"
    if set(after.records) - {record} != set(before.records):
        yield "the environment's own records have changed meanwhile"


def _name_own(found: RdsRecovery) -> list[tuple[str, str] | None]:
    """Which instances are the environment's, and what they replicate; their states may change while a copy is made."""
    return [(one.arn, one.source) if one else None for one in (found.primary, found.replica)]


def list_unmeasured(observed: RdsRecovery, *, has_zone: bool, is_emulated: bool) -> dict[str, str]:
    """Everything of a recovery that such a drill says nothing about, each with the reason."""
    data = "an emulated database holds no data" if is_emulated else "this version has no client that writes to RDS"
    told = {
        "rto_seconds": f"{data}; promotion and record are a part of an outage, not the whole",
        "rpo_rows": data,
        "in_doubt_rows": data,
        "detection_seconds": "AWS's API cannot let the primary of a replica fail",
        "fencing": "the primary stays the primary; that nobody writes to it in a real failover is not proved",
        "diverged_rows_after_failback": f"nothing failed over, so nothing failed back: the copy is deleted; {data}",
        "services": "no service is started in the recovery region",
    }
    if is_emulated:
        told["promotion_seconds"] = "an emulator promotes at once"
        told["record_seconds"] = "an emulator has one server, and changes are on it at once"
    if not has_zone:
        told["record_seconds"] = "the environment's file has no dns, so there is no zone to switch a record in"
    elif observed.database_record is None:
        told["clients"] = "no record leads to the database: clients know the primary's endpoint itself"
    if any(PLACEHOLDER in one.values for one in observed.records):
        told["failover_record"] = f"the standby's record is {PLACEHOLDER}, which stands for nothing"
    return told


def render_rds_drill(environment: str, report: RdsDrillReport) -> str:
    """The report as markdown with a timeline."""
    told = [
        ("promotion of a replica", _tell_seconds(report.promotion_seconds)),
        ("record on all of Route 53's servers", _tell_seconds(report.record_seconds)),
        ("the objectives speak of", SCOPES[report.scope]),
        ("approved by", report.approved_by or "nobody had to"),
    ]
    return "\n".join(
        [
            f"# {environment}: drill {report.status}",
            f"Through AWS's API, on a copy: {report.new_primary} was promoted, {report.old_primary} stays primary.",
            *draw_table("Measured", ("what", "value"), told),
            *draw_list("Not measured", [f"`{name}`: {why}" for name, why in report.not_measured.items()]),
            *draw_timeline(report.steps),
            *draw_list("To mend", report.to_mend),
        ]
    )


def _tell_seconds(seconds: float | None) -> str:
    return "not measured" if seconds is None else f"{seconds:.1f} s"
