"""Every deployment: which flow, on which schedule, in which work pool. Nothing is scheduled anywhere else."""

from dataclasses import dataclass

from prefect.schedules import Cron, Schedule

WORK_POOL = "terrarium"
#: Where runs wait when `runs_at_once` of them run; the queue that every pool of Prefect has.
DEFAULT = "default"
#: Never waits: what keeps the other runs in order, and a failover, must not stand behind them.
UNLIMITED = "unlimited"


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
        schedule=Cron("* * * * *"),
        queue=UNLIMITED,
    ),
    Deployed(
        name="sweep",
        entrypoint="flows.sweep.sweep_runs",
        description="End the runs whose process is proved dead, from the ledger alone. Living runs are left alone.",
        schedule=Cron("* * * * *"),
        queue=UNLIMITED,
    ),
    Deployed(
        name="anchor",
        entrypoint="flows.evidence.anchor_evidence",
        description="Write the head of the chain of evidence into the vault, where something was recorded since.",
        schedule=Cron("0 * * * *"),
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
        schedule=Cron("*/30 * * * *"),
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
        schedule=Cron("*/5 * * * *"),
        queue=UNLIMITED,
    ),
    Deployed(
        name="bootstrap",
        entrypoint="flows.account.bootstrap_account",
        description="Make what an account needs before its first environment: buckets, key, role. Give its name.",
    ),
)
