"""What every step of a run knows: who asked for what, what is wanted, and where its Terraform works."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from blocks.aws import AwsAccount
from domain.spec import EnvironmentSpec
from domain.status import EnvironmentStatus, Operation


@dataclass(frozen=True)
class Run:
    """One execution of a flow on one environment. `folder` is its scratch folder, gone when it ends.

    `named` are the addresses whose data may be lost, as the request says; a run that `is_upgrade` plans with the
    modules of the checkout instead of those that the environment keeps.
    """

    run_id: str
    operation: Operation
    actor: str
    spec: EnvironmentSpec
    spec_version: int
    generation: int
    origin_run_id: str
    status_before: EnvironmentStatus | None
    was_ready: bool
    plan_id: str | None
    named: frozenset[str]
    is_upgrade: bool
    account: AwsAccount
    folder: Path

    @property
    def environment(self) -> str:
        """The environment's name."""
        return self.spec.name


def read_clock() -> datetime:
    """The time, in UTC: decisions get it as a value."""
    return datetime.now(UTC)
