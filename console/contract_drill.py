"""The JSON of drills and failovers. Part of the contract of console/contract.py."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from console.contract import Answer
from console.contract_people import Reason
from domain.drill import Fault, Mode
from domain.drill_report import Objective, StepTime

DrillStatus = Literal[
    "passed", "failed", "incomplete", "refused", "cancelled", "crashed", "queued", "running", "waiting"
]  # fmt: skip


class Drill(Answer):
    """One drill. What was not measured is null. `failed`: an objective was missed, rows differ, or it broke off.

    `incomplete`: nothing was wrong, and `not_measured` has what it says nothing about, each with the reason. `rpo_rows`
    were acknowledged to the client and are gone; `in_doubt_rows` were never acknowledged.
    """

    environment: str
    run_id: str
    run_url: str | None
    status: DrillStatus
    mode: Mode | None = None
    fault: Fault | None = None
    rto_seconds: float | None = None
    detection_seconds: float | None = None
    rpo_rows: int | None = None
    rpo_seconds: float | None = None
    in_doubt_rows: int | None = None
    in_doubt_found: int | None = None
    acknowledged_rows: int | None = None
    diverged_rows_after_failback: int | None = None
    compared_rows: int | None = None
    promotion_seconds: float | None = None
    record_seconds: float | None = None
    not_measured: dict[str, str] = Field(default={})
    objectives: dict[str, Objective] | None = None
    scope: str | None = None
    is_synchronous: bool | None = None
    old_primary: str | None = None
    new_primary: str | None = None
    approved_by: str | None = None
    probe_log: str | None = None
    probe_log_sha256: str | None = None
    probe_log_kept: str | None = None
    steps: list[StepTime] = Field(default=[])
    to_mend: list[str] = Field(default=[])
    actor: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    resolution: str | None = None


class Drills(Answer):
    """The newest drills, newest first."""

    drills: list[Drill]


class DrillApproval(Answer):
    """Somebody approved drills of an environment as it is specified now."""

    environment: str
    drill_id: str
    approver: str
    reason: str
    expires_at: datetime


class DrillRequest(BaseModel):
    """Which drill."""

    model_config = ConfigDict(extra="forbid")

    mode: Mode = Field(default="graceful", description="A planned switchover, or a primary that fails.")
    fault: Fault = Field(default="killed", description="What happens to the primary of an ungraceful drill.")


class DrillApprovalRequest(DrillRequest):
    """Why this drill is approved."""

    reason: Reason = Field(examples=["agreed on Monday"])


class FailoverRequest(BaseModel):
    """Why an environment fails over for real."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = Field(examples=["eu-central-1 is gone"])
    accept_loss: bool = Field(default=False, description="Go on although writes may be lost.")
