"""The JSON of what people do: tokens, approvals of plans, holds. Part of the contract of console/contract.py."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from console.contract import Answer
from domain.access import Role
from domain.changes import Change, Counts
from domain.quantity import Minutes

DAY, YEAR = 1440, 365 * 1440  # in minutes
#: Why somebody did something: it stands in the ledger, so it has to be there.
Reason = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]


class Token(Answer):
    """A token as it stands; its value is told once, to who made it."""

    name: str
    role: Role
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class Tokens(Answer):
    """Every token that was ever given, oldest first."""

    tokens: list[Token]


class NewToken(Answer):
    """A token that was just made. `value` is told now and never again: the ledger has only its hash."""

    token: Token
    value: str


class Approval(Answer):
    """Somebody approved a plan; `digest` is of the changes that they saw."""

    plan_id: str
    approver: str
    reason: str
    digest: str
    expires_at: datetime


class Plan(Answer):
    """A saved plan: what it would change, who asked for it, until when it may be applied, and who approved it."""

    plan_id: str
    environment: str
    spec_version: int
    run_id: str
    requester: str
    digest: str
    changes: Counts
    planned: list[Change]
    expires_at: datetime
    is_approval_needed: bool
    is_approved: bool
    approvals: list[Approval]


class TokenRequest(BaseModel):
    """A token for somebody."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "ada", "role": "operator"}]})

    name: str = Field(max_length=40, examples=["ada"], description="The actor of all that the token asks for.")
    role: Role = Field(description="What it may do, and all that the roles before it may.")
    expires: Minutes | None = Field(
        default=None,
        le=10 * YEAR,
        examples=["90d"],
        description="How long it counts, at most 3650d; null: always.",
    )


class ApprovalRequest(BaseModel):
    """Why a plan is approved."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = Field(examples=["resize agreed on Monday"])


class HoldRequest(BaseModel):
    """Why an environment is kept as it is, and how long."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = Field(examples=["incident 12"])
    duration: Minutes = Field(le=30 * DAY, examples=["2h"], description="30m, 2h, 1d; at most 30d.")
