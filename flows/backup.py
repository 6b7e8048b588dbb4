"""Backups: taken, and proved by a restore and five questions: a pair's in a scratch server, RDS's by AWS itself."""

from prefect import flow

from domain.backup_plan import decide_take, decide_verification
from domain.backup_schedule import list_due
from domain.status import Operation
from tasks.backup import refuse_unproved
from tasks.backup_schedule import read_scheduled, start_due
from tasks.known_backup import list_known
from tasks.record import record_run
from tasks.run import read_clock
from tasks.steps import perform


@flow(name="take_backup", flow_run_name="back up {environment}")
def take_backup(environment: str, kind: str | None = None) -> None:
    """Back an environment's database up with a manifest, and let old backups go.

    Args:
        environment: Name of the environment, as `terrarium env list` shows it.
        kind: Leave it at None for what the environment's file says (or an RDS snapshot). Of a pair also logical (a
            dump) or physical (a base backup with its WAL).
    """
    with record_run(environment, Operation.BACKUP) as run:
        plan = decide_take(run.spec, list_known(run), read_clock(), kind)
        for step in plan.steps:
            perform(run, step)


@flow(name="verify_backup", flow_run_name="verify a backup of {environment}")
def verify_backup(environment: str, backup: str | None = None) -> None:
    """Restore a backup and ask it five questions; the run fails where it is not proved.

    Args:
        environment: Name of the environment, as `terrarium env list` shows it.
        backup: Leave it at None for the newest. An id of `terrarium backup list` takes that one.
    """
    with record_run(environment, Operation.VERIFY) as run:
        plan = decide_verification(run.spec, list_known(run), backup)
        for step in plan.steps:
            perform(run, step)
        refuse_unproved(run)


@flow(name="start_due_backups", flow_run_name="look for due backups")
def start_due_backups() -> None:
    """Start the backups that are due by their environments' own schedules, and the restore test of each."""
    for due in list_due(read_scheduled(), read_clock()):
        start_due(due)
