"""Every deployment: which flow, on which schedule, in which work pool. Nothing is scheduled anywhere else."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from prefect.schedules import Interval, Schedule

WORK_POOL = "terrarium"
#: Where runs wait when `runs_at_once` of them run; the queue that every pool of Prefect has.
DEFAULT = "default"
#: Never waits: what keeps the other runs in order, and a failover, must not stand behind them.
UNLIMITED = "unlimited"

#: What an earlier version scheduled one by one.
NO_LONGER_SCHEDULED = ("expire", "sweep")


def _every(minutes: int, at_second: int) -> Schedule:
    """Each at a second of its own: together they would all meet the run that somebody starts at a full minute."""
    return Interval(timedelta(minutes=minutes), anchor_date=datetime(2026, 1, 1, second=at_second, tzinfo=UTC))


@dataclass(frozen=True)
class Deployed:
    """One deployment: name, flow as `module.function`, what a person reads in the UI, schedule, queue of the pool."""

    name: str
    entrypoint: str
    description: str
    schedule: Schedule | None = None
    queue: str = DEFAULT


DEPLOYMENTS = (
    Deployed(
        name="provision",
        entrypoint="flows.provision.provision_environment",
        description="Make an environment as its file says. Give its name; a stored spec version is optional.",
    ),
    Deployed(
        name="plan",
        entrypoint="flows.provision.plan_environment",
        description="Show what provisioning an environment would change. Nothing is changed.",
    ),
    Deployed(
        name="teardown",
        entrypoint="flows.teardown.tear_down_environment",
        description="Remove an environment. Refused where its file protects it.",
    ),
    Deployed(
        name="expire",
        entrypoint="flows.teardown.expire_environments",
        description="Warn about temporary environments that end soon, and remove those whose time has come.",
        queue=UNLIMITED,
    ),
    Deployed(
        name="sweep",
        entrypoint="flows.sweep.sweep_runs",
        description="End the runs whose process is proved dead, from the ledger alone. Living runs are left alone.",
        queue=UNLIMITED,
    ),
    Deployed(
        name="housekeeping",
        entrypoint="flows.sweep.keep_house",
        description="Every minute: what `sweep` does, then what `expire` does.",
        schedule=_every(1, at_second=40),
        queue=UNLIMITED,
    ),
    Deployed(
        name="anchor",
        entrypoint="flows.evidence.anchor_evidence",
        description="Write the head of the chain of evidence into the vault, where something was recorded since.",
        schedule=_every(60, at_second=20),
        queue=UNLIMITED,
    ),
    Deployed(
        name="drill",
        entrypoint="flows.drill.drill_recovery",
        description="Rehearse the recovery of an environment, and measure it. Scheduled as its file says.",
    ),
    Deployed(
        name="failover",
        entrypoint="flows.drill.fail_over",
        description="Fail an environment over to its standby, for real. Give its name and the reason.",
        queue=UNLIMITED,
    ),
    Deployed(
        name="evaluate",
        entrypoint="flows.drill.evaluate_recovery",
        description="Look whether every recovery plan would work now, and keep the schedules of drills.",
        schedule=_every(30, at_second=55),
        queue=UNLIMITED,
    ),
    Deployed(
        name="backup",
        entrypoint="flows.backup.take_backup",
        description="Take a backup of an environment's database into its account's vault, and let old ones go.",
    ),
    Deployed(
        name="verify",
        entrypoint="flows.backup.verify_backup",
        description="Restore a backup into a scratch server and ask it five questions. The newest, or the one named.",
    ),
    Deployed(
        name="due-backups",
        entrypoint="flows.backup.start_due_backups",
        description="Start the backups that are due by their environments' own schedules, and their restore tests.",
        schedule=_every(5, at_second=25),
        queue=UNLIMITED,
    ),
    Deployed(
        name="bootstrap",
        entrypoint="flows.account.bootstrap_account",
        description="Make what an account needs before its first environment: buckets, key, role. Give its name.",
    ),
)
