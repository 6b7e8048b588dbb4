"""What a drill and a failover leave: the report in the ledger, and the artifact in the Prefect UI."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from blocks.ledger import StepRow
from blocks.vault import put_object
from domain.approval import Approval
from domain.drill import Fault, Mode, find_approval, name_drill
from domain.drill_report import DrillReport, StepTime, is_passed, judge, list_to_mend, render_drill, render_failover
from domain.readiness import decide_readiness
from tasks.known_pair import find_pair
from tasks.ledger import ledger
from tasks.readiness import observe_recovery
from tasks.retry import REPEATABLE
from tasks.run import Run, read_clock

#: So many logs of an environment's probes stay in the state folder.
KEPT_LOGS = 100
OWN_STEPS = frozenset({"publish_drill_report", "publish_failover_report", "publish_rds_drill_report"})


def read_drill_approval(run: Run, mode: Mode, fault: Fault) -> Approval | None:
    """The approval of this drill by somebody else than who asked for it; None where it has none that counts."""
    drill_id = name_drill(run.spec, mode, fault)
    return find_approval(drill_id, ledger().list_approvals(drill_id), run.actor, read_clock())


def _keep_log(run: Run, path: Path) -> str:
    """The probe's log in the account's vault, where it outlives this machine; its address. Old ones here go."""
    kept = put_object(run.account, f"drills/{run.environment}/{run.run_id}.log", path.read_bytes())
    logs = sorted(path.parent.glob("*.log"), key=lambda one: one.stat().st_mtime, reverse=True)
    for old in logs[KEPT_LOGS:]:
        old.unlink(missing_ok=True)
    return kept


@task(**REPEATABLE)
def publish_drill_report(run: Run, mode: Mode, fault: Fault) -> dict[str, Any]:
    """Objectives against what was measured, the time of every step, and what to mend."""
    steps = [step for step in ledger().read_steps(run.run_id) if step.outcome == "succeeded"]
    told: dict[str, Any] = {"is_synchronous": find_pair(run.environment).record.spec.is_synchronous}
    for step in steps:
        told |= step.detail or {}
    objectives = judge(run.spec.recovery, told["rto_seconds"], told["rpo_seconds"])
    findings = decide_readiness(run.spec, observe_recovery(run.spec), read_clock())
    approval = read_drill_approval(run, mode, fault) if run.spec.protection.is_protected else None
    nodes = {step.name: step.arguments.get("node") for step in steps}
    report = DrillReport.model_validate(
        {key: value for key, value in told.items() if key in DrillReport.model_fields}
        | {
            "status": "passed" if is_passed(told, objectives) else "failed",
            "mode": mode,
            "fault": fault if mode == "ungraceful" else None,
            "old_primary": nodes["fence_primary"],
            "new_primary": nodes["promote_standby"],
            "detection_seconds": round(told["detected_at"] - told["broken_at"], 6),
            "objectives": objectives,
            "scope": run.spec.recovery.scope,
            "approved_by": approval.approver if approval else None,
            "probe_log_kept": _keep_log(run, Path(told["probe_log"])),
            "steps": time_steps(steps),
            "to_mend": list_to_mend(told, objectives, findings),
        }
    )
    text = render_drill(run.environment, report)
    create_markdown_artifact(text, key=f"drill-{run.environment}", description="What a drill of the recovery showed.")
    for line in report.to_mend:
        get_run_logger().warning("To mend: %s", line)
    return {"drill": report.model_dump(mode="json")}


@task(**REPEATABLE)
def publish_failover_report(run: Run, expected_loss: str) -> dict[str, Any]:
    """What a failover did and when, and the loss that was accepted."""
    steps = [step for step in ledger().read_steps(run.run_id) if step.outcome == "succeeded"]
    text = render_failover(run.environment, expected_loss, time_steps(steps))
    create_markdown_artifact(text, key=f"failover-{run.environment}", description="What a failover did.")
    return {"failover": {"expected_loss": expected_loss}}


def time_steps(steps: Iterable[StepRow]) -> tuple[StepTime, ...]:
    """When each step of a run began, and how long it took; that of the report itself is left out."""
    return tuple(
        StepTime(
            name=step.name,
            began_at=step.begun_at.timestamp(),
            seconds=round((step.finished_at - step.begun_at).total_seconds(), 3),
        )
        for step in steps
        if step.finished_at and step.name not in OWN_STEPS
    )
