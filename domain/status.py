"""The states of an environment and of a run, and what the outcome of a run makes of its environment."""

from enum import StrEnum


class EnvironmentStatus(StrEnum):
    """What the ledger says of an environment. `lost`: its account forgot it (an emulator that restarted)."""

    PROVISIONING = "provisioning"
    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"
    DESTROYING = "destroying"
    DESTROYED = "destroyed"
    LOST = "lost"


class RunStatus(StrEnum):
    """What a face tells of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    CRASHED = "crashed"

    @property
    def is_final(self) -> bool:
        """A final run changes no more."""
        return self not in (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING)


class Operation(StrEnum):
    """What a run does to its environment. `account`: no run, somebody registered or changed one."""

    PLAN = "plan"
    PROVISION = "provision"
    TEARDOWN = "teardown"
    EXPIRE = "expire"
    ANCHOR = "anchor"
    BOOTSTRAP = "bootstrap"
    ACCOUNT = "account"
    DRILL = "drill"
    FAILOVER = "failover"
    BACKUP = "backup"
    VERIFY = "verify"


#: What a run that ended well leaves of its environment; a plan changes nothing.
LEAVES = {Operation.PROVISION: EnvironmentStatus.READY, Operation.TEARDOWN: EnvironmentStatus.DESTROYED}
