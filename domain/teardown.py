"""What removing an environment does, what it keeps on purpose, and when a temporary one is due.

Order: data that must outlive the environment is copied before anything is deleted; what is left is counted last.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.errors import RefusedError
from domain.pair_plan import ObservedPair, delete_pair_step
from domain.spec import EnvironmentSpec
from domain.step import Step

REMOVES = "It removes what was to be removed; provisioning makes the environment again."
TRY_AGAIN_AFTER = timedelta(hours=1)
KEEPS_COPIES = "A copy in the vault stays until its retention ends, whatever becomes of the run."
READS_ONLY = "It changes nothing."


class Leftover(BaseModel):
    """Something that outlives an environment on purpose: what it is and until when it stays."""

    model_config = ConfigDict(frozen=True)

    what: str
    stays: str


class TeardownPlan(BaseModel):
    """The steps of a teardown in their order, and what it leaves behind."""

    model_config = ConfigDict(frozen=True)

    steps: tuple[Step, ...]
    leftovers: tuple[Leftover, ...]


def decide_teardown(spec: EnvironmentSpec, pair: ObservedPair) -> TeardownPlan:
    """The steps that remove an environment; RefusedError where its protection forbids it."""
    refuse_protected(spec)
    return TeardownPlan(steps=tuple(_steps(spec, pair)), leftovers=list_leftovers(spec))


def refuse_protected(spec: EnvironmentSpec) -> None:
    """RefusedError for an environment whose file says that it is not to be torn down."""
    if spec.protection.teardown == "refused":
        raise RefusedError(
            f"{spec.name} is protected: its file says protection.teardown: refused.",
            f"Set protection.teardown: allowed in its file, `terrarium env apply` it, and destroy {spec.name} again.",
        )


def refuse_newer_life(environment: str, run_id: str, asked_at: datetime | None, opened_at: datetime) -> None:
    """RefusedError where an environment's present life began after a teardown of it was asked for (None: not known)."""
    if asked_at is None or opened_at > asked_at:
        raise RefusedError(
            f"Run {run_id} was to remove an earlier {environment}; this one began at {opened_at:%Y-%m-%d %H:%M} UTC.",
            f"To remove this one: `terrarium env destroy {environment}`.",
        )


def _steps(spec: EnvironmentSpec, pair: ObservedPair) -> Iterator[Step]:
    if spec.data.media and spec.protection.keep_media:
        yield Step(name="copy_media_to_vault", no_undo=KEEPS_COPIES)
        yield Step(name="empty_media", no_undo=REMOVES)
    if spec.data.has_pair or pair.record:
        yield delete_pair_step()
    yield Step(name="destroy_infrastructure", no_undo=REMOVES)
    yield Step(name="verify_removal", no_undo=READS_ONLY)
    yield Step(name="publish_removal_report", no_undo="A report of what happened stays true after a failure.")


def list_leftovers(spec: EnvironmentSpec) -> tuple[Leftover, ...]:
    """What stays of an environment after its teardown, for the person who is asked whether to go on."""
    return tuple(_leftovers(spec))


def _leftovers(spec: EnvironmentSpec) -> Iterator[Leftover]:
    if spec.data.has_pair:
        what = "the WAL archive of its database pair, in the account's vault bucket"
        yield Leftover(what=what, stays="until the vault's retention ends")
    if spec.cloud != "aws":
        return
    if spec.data.media and spec.protection.keep_media:
        yield Leftover(what="media, copied to the account's vault bucket", stays="until the vault's retention ends")
    if spec.data.database and not spec.data.has_pair and spec.protection.final_snapshot:
        yield Leftover(what="a final snapshot of the database", stays="until a person deletes it")
    yield Leftover(what="its encryption keys", stays="pending deletion, for the waiting period that AWS asks for")
    if spec.secrets or (spec.data.database and not spec.data.has_pair):
        yield Leftover(what="its secrets", stays="pending deletion, for their recovery window")


class Due(BaseModel):
    """A temporary environment whose time has come: to be warned about, or to expire, perhaps after an earlier try."""

    model_config = ConfigDict(frozen=True)

    environment: str
    expires_at: datetime
    action: Literal["warn", "expire"]
    tried_at: datetime | None = None


class Temporary(BaseModel):
    """A live environment with an end.

    `warned_for` is the expiry that was already warned about, `expiring_since` when its teardown was last started.
    """

    model_config = ConfigDict(frozen=True)

    environment: str
    expires_at: datetime
    warning_minutes: int
    warned_for: datetime | None = None
    expiring_since: datetime | None = None


def list_due(environments: list[Temporary], now: datetime) -> list[Due]:
    """What is due at `now`: one warning for each expiry date, then the expiry, every hour until it is gone."""
    return [due for temporary in environments if (due := _classify_due(temporary, now))]


def _classify_due(temporary: Temporary, now: datetime) -> Due | None:
    name, expires_at = temporary.environment, temporary.expires_at
    if now >= expires_at:
        tried_at = temporary.expiring_since
        if tried_at and now < tried_at + TRY_AGAIN_AFTER:
            return None
        return Due(environment=name, expires_at=expires_at, action="expire", tried_at=tried_at)
    warns_at = expires_at - timedelta(minutes=temporary.warning_minutes)
    if now >= warns_at and temporary.warned_for != expires_at:
        return Due(environment=name, expires_at=expires_at, action="warn")
    return None
