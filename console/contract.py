"""The JSON that the API answers and the CLI prints with `--json`: a contract of its own, kept by golden files.

A field may be added; none is renamed or removed without a note in the changelog. Times are UTC in ISO 8601.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.changes import Change, Counts
from domain.quantity import Minutes
from domain.status import EnvironmentStatus, RunStatus

ErrorKind = Literal[
    "broken_spec", "refused", "unknown", "conflict", "unavailable", "unauthorized", "forbidden", "bad_request",
    "too_large", "too_many", "failed",
]  # fmt: skip


class Answer(BaseModel):
    """What every answer shares: unknown fields are errors of ours, aliases are what the JSON says."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    def to_json(self) -> dict[str, Any]:
        """The answer as JSON values, by its public names."""
        return self.model_dump(mode="json", by_alias=True)


class SlowestStep(Answer):
    """The resource that takes, or took, longest."""

    address: str
    seconds: float
    is_done: bool


class RunProgress(Answer):
    """Resources done of planned; the ETA and its range are null where no earlier run tells anything."""

    done: int
    planned: int
    eta_seconds: float | None = None
    eta_low_seconds: float | None = None
    eta_high_seconds: float | None = None
    slowest: SlowestStep | None = None


class Run(Answer):
    """One run. `changes` is null until the plan is known; `planned` lists them for a run that saved a plan."""

    environment: str
    run_id: str
    run_url: str | None = Field(
        description="The run in the Prefect UI; null for a run that was refused before it began."
    )
    operation: str
    status: RunStatus
    changes: Counts | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    spec_version: int | None = None
    plan_id: str | None = None
    actor: str | None = None
    error: str | None = None
    resolution: str | None = None
    progress: RunProgress | None = None
    planned: list[Change] = []


class Runs(Answer):
    """The newest runs, newest first."""

    runs: list[Run]


class LogLine(Answer):
    """One line of a run's log, as Prefect keeps it."""

    id: str
    at: datetime
    level: str
    message: str


class LogLines(Answer):
    """Lines at or after the asked time, oldest first; a line may come again, its id tells."""

    lines: list[LogLine]


class Environment(Answer):
    """One environment of the list. `scope` is what `ready` speaks of."""

    name: str
    cls: str = Field(alias="class")
    status: EnvironmentStatus
    scope: str
    region: str
    resources: int
    expires_at: datetime | None = None
    account: str | None = None
    cloud: str | None = None
    spec_version: int | None = None


class Environments(Answer):
    """Every environment that the ledger knows, by name."""

    environments: list[Environment]


class Leftover(Answer):
    """What stays on purpose after a teardown, and until when."""

    what: str
    stays: str


class Hold(Answer):
    """Who keeps an environment as it is, why and until when."""

    environment: str
    holder: str
    reason: str
    expires_at: datetime


class EnvironmentDetail(Answer):
    """One environment with its resolved spec, its last runs, and what a teardown would leave."""

    environment: Environment
    spec: dict[str, Any]
    leftovers: list[Leftover]
    is_protected: bool
    runs: list[Run]
    hold: Hold | None = None


class Difference(Answer):
    """One key that differs; a side that has no such key says null."""

    key: str
    a: Any
    b: Any


class Diff(Answer):
    """How two environments differ, key by key, and where each side was read."""

    a: str
    b: str
    a_source: str
    b_source: str
    differences: list[Difference]


class Fault(Answer):
    """One wrong place of a spec file."""

    file: str
    line: int
    column: int
    key: str
    found: str
    allowed: str
    suggestion: str = ""


class Problem(Answer):
    """What went wrong and the way out; `faults` are the places of a broken spec."""

    kind: ErrorKind
    summary: str
    resolution: str
    faults: list[Fault] = []


class ErrorAnswer(Answer):
    """The one shape of every error. `run` is the run that records a refusal."""

    error: Problem
    run: Run | None = None


class Health(Answer):
    """Whether one part answers."""

    name: str
    is_healthy: bool
    detail: str


class ApiStatus(Answer):
    """What the API sees of the parts that it needs."""

    is_healthy: bool
    parts: list[Health]


class StackPart(Answer):
    """One process of the local stack."""

    name: str
    state: str
    is_healthy: bool
    port: int | None = None


class StackStatus(Answer):
    """The local stack: where it answers, and each part with its health."""

    is_up: bool
    prefect_url: str | None
    api_url: str | None
    parts: list[StackPart]


class Check(Answer):
    """One check of the doctor: what was looked at, what was found, and what to do where `ok` is false."""

    summary: str
    ok: bool
    detail: str
    resolution: str = ""


class Diagnosis(Answer):
    """Every check; `ok` where none found anything."""

    ok: bool
    findings: list[Check]


Replaceable = Annotated[list[Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]], Field(max_length=50)]
REPLACE: Any = Field(
    default=[],
    description="Addresses that hold data and may be replaced, destroyed or made smaller.",
    examples=[["module.database[0].aws_db_instance.this"]],
)


class SpecRequest(BaseModel):
    """An environment's file as text; its class is read from `environments/classes` of the API's checkout."""

    model_config = ConfigDict(extra="forbid")

    spec: str = Field(
        max_length=200_000, description="The YAML text of the environment.", examples=["name: try\nclass: sandbox\n"]
    )
    file_name: str = Field(
        default="environment.yaml", max_length=500, description="The name that faults are told with."
    )
    plan_only: bool = Field(default=False, description="Show what would change, and change nothing.")
    replace: Replaceable = REPLACE


class PlanRequest(BaseModel):
    """Show what applying the newest spec would change."""

    model_config = ConfigDict(extra="forbid")

    upgrade: bool = Field(default=False, description="With the Terraform modules of this version of Terrarium.")


class ApplyRequest(BaseModel):
    """Apply the newest spec, or exactly the plan that was shown."""

    model_config = ConfigDict(extra="forbid")

    plan_id: str | None = Field(
        default=None,
        max_length=100,
        pattern=r"^[^\x00]*$",
        examples=["9f2c41d08a7b"],
        description="Of a plan run.",
    )
    replace: Replaceable = REPLACE


class ExtendRequest(BaseModel):
    """More time for an environment that expires."""

    model_config = ConfigDict(extra="forbid")

    duration: Minutes = Field(le=525_600, examples=["8h"], description="30m, 8h, 2d; at most 365d.")
    reason: str = Field(default="", max_length=1000, pattern=r"^[^\x00]*$", examples=["a demo on Friday"])


class UnlockRequest(BaseModel):
    """Why the run that holds an environment is known to be dead."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(
        min_length=1, max_length=1000, pattern=r"^[^\x00]*$", examples=["node ip-10-0-1-7 was terminated"]
    )
