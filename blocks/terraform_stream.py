"""Reads what `terraform -json` commands say, one JSON message a line: the changes, the outputs, and errors as ours.

Source: Terraform's machine-readable UI, version 1.2 (developer.hashicorp.com/terraform/internals/machine-readable-ui).
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from blocks.state_lock import LockedError, read_lock_error
from domain.changes import Changes, Counts, read_changes
from domain.errors import PermanentError, TemporaryError, TerrariumError

Message = dict[str, Any]

# What the AWS provider, the S3 backend and Terraform itself print where waiting helps.
_TEMPORARY = re.compile(
    r"Throttl|TooManyRequests|RequestLimitExceeded|SlowDown|RequestTimeout|ServiceUnavailable|InternalError|InternalFailure"
    r"|StatusCode: (429|5\d\d)|connection (refused|reset)|i/o timeout|TLS handshake timeout|no such host|unexpected EOF"
    r"|context deadline exceeded|OperationAborted|execution halted|operation canceled",
    re.IGNORECASE,
)


class Diagnostic(BaseModel):
    """One error or warning of Terraform's. `address` is the resource, empty where it concerns none."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    severity: str
    summary: str
    detail: str = ""
    address: str = ""

    def __str__(self) -> str:
        where = f"{self.address}: " if self.address else ""
        detail = f" ({self.detail})" if self.detail else ""
        return " ".join(re.sub(r", HostID: [^,]+", "", f"{where}{self.summary}{detail}").split()).rstrip(".: ")


class PlanOutcome(BaseModel):
    """A plan. `drift` has Terraform's own `resource_drift` changes: what somebody changed outside since the last apply.

    `has_changes` is Terraform's exit code 2, which is also given for changed outputs alone.
    """

    model_config = ConfigDict(frozen=True)

    changes: Changes
    drift: tuple[dict[str, Any], ...] = ()
    has_changes: bool


class ApplyOutcome(BaseModel):
    """What an apply did: Terraform's own count, and the outputs by name; a sensitive one is None: it is not shown."""

    model_config = ConfigDict(frozen=True)

    counts: Counts
    outputs: dict[str, Any] = {}


def read_message(line: str) -> Message | None:
    """The JSON message on a line; None for anything else, such as a warning about the CLI's own configuration."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def read_plan(messages: Iterable[Message], *, has_changes: bool) -> PlanOutcome:
    """The outcome of `plan -json -detailed-exitcode`."""
    rows = list(messages)
    return PlanOutcome(
        changes=read_changes([row for row in rows if row.get("type") == "planned_change"]),
        drift=tuple(row["change"] for row in rows if row.get("type") == "resource_drift"),
        has_changes=has_changes,
    )


def read_apply(messages: Iterable[Message]) -> ApplyOutcome:
    """The outcome of `apply -json`."""
    counts, outputs = Counts(), {}
    for row in messages:
        if row.get("type") == "change_summary":
            summary = row["changes"]
            counts = Counts(add=summary["add"], change=summary["change"], destroy=summary["remove"])
        elif row.get("type") == "outputs":
            outputs = {name: output.get("value") for name, output in row["outputs"].items()}
    return ApplyOutcome(counts=counts, outputs=outputs)


def read_errors(messages: Iterable[Message], stderr: str = "") -> list[Diagnostic]:
    """Each different error once, in order; where the stream has none, stderr is the error."""
    rows = (row["diagnostic"] for row in messages if row.get("type") == "diagnostic")
    errors = [Diagnostic.model_validate(row) for row in rows if row["severity"] == "error"]
    if not errors and stderr.strip():
        errors = [Diagnostic(severity="error", summary=_plain(stderr))]
    return list(dict.fromkeys(errors))


def translate_errors(label: str, command: str, errors: list[Diagnostic], folder: Path) -> TerrariumError:
    """What to raise for a failed command: a LockedError, a TemporaryError where waiting helps, else a PermanentError.

    The summary holds every diagnostic with its address; `execution halted` alone follows from others and is left out.
    """
    for error in errors:
        holder = read_lock_error(error.detail) if "state lock" in error.summary else None
        if holder:
            return LockedError(label, holder, folder)
    causes = [error for error in errors if error.summary != "execution halted"] or errors
    text = "; ".join(str(error) for error in causes) or "it ended without saying why"
    summary = f"{label}: terraform {command} failed: {text}."
    if causes and all(_TEMPORARY.search(f"{error.summary} {error.detail}") for error in causes):
        return TemporaryError(summary, "Run it again: what exists is kept, the next run continues.")
    return PermanentError(summary, _advise(command, text))


def _advise(command: str, text: str) -> str:
    if "Saved plan is stale" in text:
        return "The state has changed since this plan was made: plan again."
    if command == "init":
        return "Check the state bucket and its permissions, and where the provider comes from (`provider_mirror`)."
    if command == "plan":
        return "Nothing was changed. Correct the spec, the modules or the account's permissions, and plan again."
    return (
        "What was made is in the state. Correct the cause and run it again: it continues; or destroy the environment."
    )


def _plain(text: str) -> str:
    """Terraform's human output without colours and box drawing."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|[╷│╵]", "", text).split())
