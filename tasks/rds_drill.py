"""The steps of a drill through AWS's API: a copy is promoted, a name of the drill's own is led to it, both go."""

from datetime import timedelta
from typing import Any

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from blocks.rds import create_replica, promote_replica, read_instance
from blocks.route53 import delete_record, find_record, lead_record
from domain.errors import PermanentError
from domain.rds import Instance, list_tags, name_temporary
from domain.rds_drill_report import RdsDrillReport, judge_rds_drill, list_unmeasured, render_rds_drill
from domain.rds_recovery import RdsRecovery
from domain.readiness import decide_readiness
from tasks.drill_report import read_drill_approval, time_steps
from tasks.ledger import ledger
from tasks.rds_recovery import observe_rds
from tasks.readiness import observe_recovery
from tasks.retry import REPEATABLE
from tasks.run import Run, read_clock
from tasks.temporary_instance import delete_left, delete_own


def _region(run: Run) -> str:
    assert run.spec.recovery_region is not None, "what has a replica has a recovery region"
    return run.spec.recovery_region


def _name_copy(run: Run) -> str:
    return name_temporary(run.environment, "drill", run.run_id)


def _name_record(run: Run, zone: str) -> str:
    return f"drill-{run.run_id[:8]}.{zone}"


@task(**REPEATABLE)
def create_drill_replica(run: Run, source: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """Make a second read replica beside the environment's own. It is what is promoted, and nothing else is.

    What ended runs left is deleted first.
    """
    delete_left(run, _region(run), "drill")
    tags = list_tags(run.spec, "drill", run.run_id)
    models = Instance.model_validate(source), Instance.model_validate(like)
    made = create_replica(run.account, _region(run), _name_copy(run), *models, tags)
    if not made.source:
        raise PermanentError(
            f"{run.environment}: instance {made.id} is no replica, so nothing can be promoted.",
            "Its undo deletes it: run the drill again.",
        )
    return {"replica": made.id}


@task(**REPEATABLE)
def delete_drill_replica(run: Run) -> None:
    """Delete what a drill of this run has made, by its tags. Gone is gone; the environment's own replica has none."""
    delete_own(run, _region(run), "drill")


@task(**REPEATABLE)
def create_drill_record(run: Run, zone_id: str, zone: str, target: str) -> dict[str, Any]:
    """Let a name of this drill's own lead to the primary, as a database's name would."""
    lead_record(run.account, zone_id, _name_record(run, zone), target)
    return {"record": _name_record(run, zone)}


@task(**REPEATABLE)
def delete_drill_record(run: Run, zone_id: str, zone: str) -> None:
    """Take the drill's name away: the zone's records are as they were. Gone is gone."""
    delete_record(run.account, zone_id, _name_record(run, zone))


@task(**REPEATABLE)
def promote_drill_replica(run: Run) -> dict[str, Any]:
    """Promote the copy, and wait until RDS shows it as a writable instance of its own."""
    began_at = read_clock()
    promoted = promote_replica(run.account, _region(run), _name_copy(run))
    return {"promoted": promoted.id, "promotion_seconds": (read_clock() - began_at) / timedelta(seconds=1)}


@task(**REPEATABLE)
def switch_drill_record(run: Run, zone_id: str, zone: str) -> dict[str, Any]:
    """Lead the drill's name to the promoted copy, and wait until all of Route 53's servers say so."""
    promoted = read_instance(run.account, _region(run), _name_copy(run))
    if promoted is None:
        raise PermanentError(f"{run.environment}: the drill's replica is gone.", "Somebody deleted it: drill again.")
    began_at = read_clock()
    lead_record(run.account, zone_id, _name_record(run, zone), promoted.endpoint)
    return {"target": promoted.endpoint, "record_seconds": (read_clock() - began_at) / timedelta(seconds=1)}


@task(**REPEATABLE)
def verify_rds_drill(run: Run, observed: dict[str, Any]) -> dict[str, Any]:
    """Hold the copy, its name, and all of the environment's own against what has to be so; nothing is changed."""
    before = RdsRecovery.model_validate(observed)
    own_record = (
        find_record(run.account, before.zone_id, _name_record(run, run.spec.dns.zone)) if run.spec.dns else None
    )
    faults = judge_rds_drill(
        before,
        observe_rds(run.spec) or RdsRecovery(),
        read_instance(run.account, _region(run), _name_copy(run)),
        own_record,
    )
    return {"faults": list(faults)}


@task(**REPEATABLE)
def publish_rds_drill_report(run: Run, observed: dict[str, Any]) -> dict[str, Any]:
    """What was done and how long it took, what was not measured and why, and what to mend."""
    before = RdsRecovery.model_validate(observed)
    assert before.primary is not None
    assert before.replica is not None
    steps = [step for step in ledger().read_steps(run.run_id) if step.outcome == "succeeded"]
    told: dict[str, Any] = {}
    for step in steps:
        told |= step.detail or {}
    is_emulated = run.account.kind == "emulator"
    approval = read_drill_approval(run, "graceful", "killed") if run.spec.protection.is_protected else None
    findings = decide_readiness(run.spec, observe_recovery(run.spec), read_clock())
    report = RdsDrillReport(
        status="failed" if told["faults"] else "incomplete",
        old_primary=before.primary.id,
        new_primary=told["promoted"],
        promotion_seconds=None if is_emulated else round(told["promotion_seconds"], 3),
        record_seconds=None if is_emulated or "record_seconds" not in told else round(told["record_seconds"], 3),
        not_measured=list_unmeasured(before, has_zone=run.spec.dns is not None, is_emulated=is_emulated),
        scope=run.spec.recovery.scope,
        approved_by=approval.approver if approval else None,
        steps=time_steps(steps),
        to_mend=(*told["faults"], *(f"{finding.summary}: {finding.resolution}" for finding in findings)),
    )
    text = render_rds_drill(run.environment, report)
    create_markdown_artifact(text, key=f"drill-{run.environment}", description="What a drill of the recovery showed.")
    for line in report.to_mend:
        get_run_logger().warning("To mend: %s", line)
    return {"drill": report.model_dump(mode="json")}
