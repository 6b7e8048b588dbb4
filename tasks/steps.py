"""Ledger first: every step is written down before it acts, and one way leads back.

`perform` writes a step's name, arguments and undo before its task runs and the outcome after it; `unwind` walks what a
run began in reverse. Undo is idempotent, so a second unwind, by another process, does no harm.
"""

from collections.abc import Callable, Iterable
from typing import Any

from blocks.ledger import StepRow
from domain.step import Step
from tasks import (
    approval,
    aws,
    backup,
    backup_bucket,
    backup_snapshot,
    base_backup,
    drill,
    drill_report,
    modules,
    pair,
    pair_order,
    rds_drill,
    report,
    terraform,
)
from tasks.ledger import ledger
from tasks.run import Run
from tasks.telemetry import tell_step

Effect = Callable[..., dict[str, Any] | None]

#: Every step that a plan may name, and the task that has its effect.
STEPS: dict[str, Effect] = {
    "save_plan": aws.save_plan,
    "await_approval": approval.await_approval,
    "pin_modules": modules.pin_modules,
    "apply_infrastructure": terraform.apply_infrastructure,
    "verify_infrastructure": aws.verify_infrastructure,
    "create_pair": pair.create_pair,
    "fill_pair": pair.fill_pair,
    "verify_pair": pair.verify_pair,
    "publish_report": report.publish_report,
    "copy_media_to_vault": aws.copy_media_to_vault,
    "empty_media": aws.empty_media,
    "delete_pair": pair.delete_pair,
    "destroy_infrastructure": terraform.destroy_infrastructure,
    "verify_removal": aws.verify_removal,
    "publish_removal_report": report.publish_removal_report,
    "start_probe": drill.start_probe,
    "stop_primary": drill.stop_primary,
    "break_primary": drill.break_primary,
    "fence_primary": drill.fence_primary,
    "promote_standby": drill.promote_standby,
    "switch_name": drill.switch_name,
    "verify_writes": drill.verify_writes,
    "rejoin_standby": pair_order.rejoin_standby,
    "measure_loss": drill.measure_loss,
    "compare_sides": drill.compare_sides,
    "publish_drill_report": drill_report.publish_drill_report,
    "publish_failover_report": drill_report.publish_failover_report,
    "create_drill_replica": rds_drill.create_drill_replica,
    "create_drill_record": rds_drill.create_drill_record,
    "promote_drill_replica": rds_drill.promote_drill_replica,
    "switch_drill_record": rds_drill.switch_drill_record,
    "verify_rds_drill": rds_drill.verify_rds_drill,
    "delete_drill_record": rds_drill.delete_drill_record,
    "delete_drill_replica": rds_drill.delete_drill_replica,
    "publish_rds_drill_report": rds_drill.publish_rds_drill_report,
    "take_dump": backup.take_dump,
    "take_base_backup": base_backup.take_base_backup,
    "expire_backups": backup.expire_backups,
    "expire_wal": base_backup.expire_wal,
    "publish_backup": backup.publish_backup,
    "restore_and_ask": backup.restore_and_ask,
    "take_rds_snapshot": backup_snapshot.take_rds_snapshot,
    "restore_rds_snapshot": backup_snapshot.restore_rds_snapshot,
    "ask_restored": backup_snapshot.ask_restored,
    "list_media": backup_bucket.list_media,
    "ask_replica": backup_bucket.ask_replica,
    "delete_restored": backup_snapshot.delete_restored,
    "publish_verdict": backup.publish_verdict,
}

#: Steps that change the environment itself: after one of them a failed run leaves something else than it found.
CHANGING_STEPS = frozenset(
    {"apply_infrastructure", "create_pair", "empty_media", "delete_pair", "destroy_infrastructure"}
)
#: Stands at the first touch of a pair by a drill or failover, and puts the whole pair in order.
ORDER = "restore_pair"

#: Every inverse that a step may name.
UNDOS: dict[str, Effect] = {
    "delete_drill_record": rds_drill.delete_drill_record,
    "delete_drill_replica": rds_drill.delete_drill_replica,
    "delete_plan": aws.delete_plan,
    "delete_unready_pair": pair.delete_unready_pair,
    "delete_scratch": backup.delete_scratch,
    "delete_unrecorded": base_backup.delete_unrecorded,
    "delete_restored": backup_snapshot.delete_restored,
    "stop_probe": drill.stop_probe,
    ORDER: pair_order.restore_pair,
}


def may_have_changed(steps: Iterable[StepRow]) -> bool:
    """Whether a run may have left something else than it found; a pair that was put in order is as it should be."""
    return any(
        step.name in CHANGING_STEPS or (step.undo and step.undo.name == ORDER and step.outcome != "undone")
        for step in steps
    )


def perform(run: Run, step: Step) -> None:
    """Have a step's effect, with its beginning and its end in the ledger."""
    step_id = ledger().begin_step(run.run_id, step.name, step.arguments, step.undo)
    try:
        with tell_step(step):
            detail = STEPS[step.name](run, **step.arguments)
    except BaseException as error:
        ledger().finish_step(step_id, "failed", {"error": str(error)})
        raise
    ledger().finish_step(step_id, "succeeded", detail or {})


def unwind(run: Run) -> None:
    """Undo what a run began and brought for itself, last first. A step whose end was not recorded was interrupted.

    What an earlier attempt did that ended well is not undone by one that somebody started after it.
    """
    for step in reversed(ledger().read_open_steps(run.run_id)):
        if step.outcome == "begun":
            ledger().finish_step(step.step_id, "interrupted", {})
        if step.undo and step.outcome != "undone":
            UNDOS[step.undo.name](run, **step.undo.arguments)
            ledger().finish_step(step.step_id, "undone", {})
