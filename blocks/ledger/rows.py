"""What the ledger answers with: frozen rows, every time in UTC."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.access import Credential
from domain.changes import Counts
from domain.status import EnvironmentStatus, Operation, RunStatus
from domain.step import Undo


class Row(BaseModel):
    """A frozen row."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class SpecVersion(Row):
    """A resolved spec as it was handed in: `spec_json` is canonical JSON, `digest` its sha256."""

    environment: str
    version: int
    spec_json: str
    source_text: str
    digest: str
    actor: str
    added_at: datetime


class RequestRow(Row):
    """Who asked for a run and why; `id` is the idempotency key of the Prefect flow run.

    `fingerprint` is the hash of the call that asked, where it came with an idempotency key of its own.
    """

    id: str
    environment: str
    operation: Operation
    spec_version: int | None
    plan_id: str | None
    actor: str
    reason: str
    fingerprint: str | None = None
    added_at: datetime


class TokenRow(Row, Credential):
    """A token as it stands: who gave it to whom, with which role, until when."""

    created_at: datetime
    actor: str


class GenerationRow(Row):
    """One life of an environment, from its first run to its teardown or loss; `number` counts from 1."""

    environment: str
    number: int
    origin_run_id: str
    account: str
    endpoint: str
    opened_at: datetime


class RunRow(Row):
    """A run as it stands. `attempt` counts from 1 and grows when Prefect runs the same flow run again.

    `parameters` are what its flow was called with; runs from before revision 0004 have none.
    """

    run_id: str
    attempt: int
    environment: str
    operation: Operation
    flow: str
    spec_version: int | None
    request_id: str | None
    actor: str
    host: str
    pid: int
    parameters: dict[str, Any] | None = None
    status: RunStatus
    environment_status: EnvironmentStatus | None
    counts: Counts | None
    report: dict[str, Any] | None
    error: str | None
    begun_at: datetime
    finished_at: datetime | None


class StepRow(Row):
    """A step as it stands; `outcome` is `begun` until it is finished."""

    step_id: int
    run_id: str
    attempt: int
    name: str
    arguments: dict[str, Any]
    undo: Undo | None
    outcome: str
    detail: Any
    begun_at: datetime
    finished_at: datetime | None


class PlanRow(Row):
    """A saved Terraform plan: where it lies, until when it may be applied, and what it was said to change.

    `sha256` is of the file; rows of the first revision have none.
    """

    id: str
    environment: str
    spec_version: int
    run_id: str
    digest: str
    changes_json: str
    location: str
    expires_at: datetime
    sha256: str | None = None
    added_at: datetime


class ModulePinRow(Row):
    """The version of the Terraform modules that a generation keeps; `location` is its archive's S3 URL."""

    environment: str
    generation: int
    digest: str
    location: str
    run_id: str
    actor: str


class EnvironmentRow(Row):
    """An environment as the ledger sees it. `generation`, `ready_at` (first ready), `expires_at` are of its live one.

    `resources` counts what the last report said there is; `scope` is what `ready` speaks of.
    """

    name: str
    cls: str
    cloud: str
    status: EnvironmentStatus
    scope: str
    region: str
    account: str
    owner: str
    resources: int
    spec_version: int | None
    generation: int | None
    ready_at: datetime | None
    expires_at: datetime | None
    warning_minutes: int
    changed_at: datetime
    last_run_id: str | None


class TemporaryRow(Row):
    """A live environment with an end. `warned_for` is the expiry it was last warned about, `expiring_since` the time at
    which its teardown at this `expires_at` was started."""

    environment: str
    status: EnvironmentStatus
    expires_at: datetime
    warning_minutes: int
    warned_for: datetime | None
    expiring_since: datetime | None


class VaultObjectRow(Row):
    """An anchor or a backup in the vault of an account; `lost_at` is set where the vault has it no more."""

    seq: int
    at: datetime
    kind: str
    account: str
    location: str
    sha256: str
    head_seq: int
    head_hash: str
    actor: str
    lost_at: datetime | None
