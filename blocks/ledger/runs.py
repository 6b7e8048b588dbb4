"""Runs and their steps, written before and after the act."""

from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, select

from blocks.ledger.chain import ChainWriter
from blocks.ledger.database import Database
from blocks.ledger.leases import refuse_without_lease, release
from blocks.ledger.rows import RunRow, StepRow
from blocks.ledger.tables import generation, run, run_outcome, step, step_outcome
from blocks.ledger.views import run_state, step_state
from domain.changes import Counts
from domain.errors import PermanentError
from domain.status import EnvironmentStatus, Operation, RunStatus
from domain.step import Undo


class Runs(Database):
    """One execution of a flow, from its begin to its outcome."""

    def begin_run(
        self,
        run_id: str,
        environment: str,
        operation: Operation,
        flow: str,
        spec_version: int | None,
        request_id: str | None,
        actor: str,
        host: str,
        pid: int,
        parameters: dict[str, Any] | None = None,
    ) -> int:
        """Record a begin; the attempt, from 1: Prefect runs a flow run again when somebody presses its Retry."""
        row = {
            "id": run_id,
            "environment": environment,
            "operation": Operation(operation).value,
            "flow": flow,
            "spec_version": spec_version,
            "request_id": request_id,
            "actor": actor,
            "host": host,
            "pid": pid,
            "parameters": parameters,
        }
        with self._append() as chain:
            last = chain.fetch(select(func.max(run.c.attempt).label("attempt")).where(run.c.id == run_id))
            row["attempt"] = (last.attempt or 0) + 1 if last else 1
            chain.append(run, row, environment=environment, actor=actor, run_id=run_id)
        return int(str(row["attempt"]))

    def finish_run(
        self,
        run_id: str,
        status: RunStatus,
        environment_status: EnvironmentStatus | None = None,
        counts: Counts | None = None,
        report: dict[str, Any] | None = None,
        error: str = "",
    ) -> None:
        """Record the outcome, and release the run's lease; `environment_status` is what the run left, None for nothing.

        The same outcome again changes nothing; PermanentError where another one stands, or the run never began.
        `report["resources"]`, a number, is the environment's count of resources from then on.
        """
        left = EnvironmentStatus(environment_status).value if environment_status else None
        with self._append() as chain:
            begun = chain.read_run(run_id)
            known = chain.fetch(
                select(run_outcome).where(run_outcome.c.run_id == run_id, run_outcome.c.attempt == begun.attempt)
            )
            if known is not None:
                _refuse_other_outcome(known, status, left)
                return
            row = {
                "run_id": run_id,
                "attempt": begun.attempt,
                "environment": begun.environment,
                "generation": _find_newest_generation(chain, begun.environment),
                "status": RunStatus(status).value,
                "environment_status": left,
                "counts": counts.model_dump() if counts else None,
                "report": report,
                "error": error,
            }
            about = {"environment": begun.environment, "actor": begun.actor, "run_id": run_id, "reason": error}
            chain.append(run_outcome, row, **about, outcome=RunStatus(status).value)
            release(chain, run_id)

    def read_run(self, run_id: str) -> RunRow | None:
        """A run as it stands; None where it never began."""
        with self._read() as connection:
            row = connection.execute(select(run_state).where(run_state.c.run_id == run_id)).mappings().first()
        return RunRow.model_validate(dict(row)) if row else None

    def has_other_run(self, request_id: str, run_id: str) -> bool:
        """Whether a request has had a run that is not this one."""
        query = select(run.c.seq).where(run.c.request_id == request_id, run.c.id != run_id).limit(1)
        with self._read() as connection:
            return connection.execute(query).first() is not None

    def read_last_failover_at(self, environment: str) -> datetime | None:
        """When a failover of an environment ended last that had touched its pair, well or not."""
        of_its_run = (run.c.id == run_outcome.c.run_id) & (run.c.attempt == run_outcome.c.attempt)
        has_stepped = exists().where(step.c.run_id == run_outcome.c.run_id, step.c.attempt == run_outcome.c.attempt)
        query = select(func.max(run_outcome.c.at)).where(
            of_its_run, run.c.environment == environment, run.c.operation == Operation.FAILOVER.value, has_stepped
        )
        with self._read() as connection:
            found: datetime | None = connection.execute(query).scalar()
        return found

    def list_runs(self, environment: str | None = None, limit: int = 50) -> list[RunRow]:
        """The newest runs first, of one environment or of all."""
        query = select(run_state).order_by(run_state.c.seq.desc()).limit(limit)
        if environment is not None:
            query = query.where(run_state.c.environment == environment)
        with self._read() as connection:
            return [RunRow.model_validate(dict(row)) for row in connection.execute(query).mappings()]


class Steps(Database):
    """The effects of runs: name, arguments and undo are on record before the act."""

    def begin_step(self, run_id: str, name: str, arguments: dict[str, Any], undo: Undo | None = None) -> int:
        """Record that an effect is about to happen; its id.

        PermanentError where the run never began, LostLeaseError where it does not hold its environment.
        """
        with self._append() as chain:
            begun = chain.read_run(run_id)
            refuse_without_lease(chain, run_id, begun.environment, begun.operation)
            row = {
                "run_id": run_id,
                "attempt": begun.attempt,
                "name": name,
                "arguments": arguments,
                "undo": undo.model_dump() if undo else None,
            }
            about = {"environment": begun.environment, "actor": begun.actor, "run_id": run_id, "reason": name}
            return chain.append(step, row, **about)

    def finish_step(self, step_id: int, outcome: str, detail: Any = None) -> None:
        """Record how an effect ended; `detail` is any JSON value. A later outcome, such as `undone`, goes on top.

        LostLeaseError where the run does not hold its environment.
        """
        with self._append() as chain:
            begun = chain.fetch(select(step).where(step.c.seq == step_id))
            if begun is None:
                raise PermanentError(f"Step {step_id} never began.", "Begin a step before it is finished.")
            started = chain.read_run(begun.run_id)
            refuse_without_lease(chain, begun.run_id, started.environment, started.operation)
            row = {"step_id": step_id, "outcome": outcome, "detail": detail}
            about = {"environment": started.environment, "actor": started.actor, "run_id": begun.run_id}
            chain.append(step_outcome, row, **about, reason=begun.name, outcome=outcome)

    def read_steps(self, run_id: str) -> list[StepRow]:
        """The steps of all attempts of a run in the order they began."""
        query = select(step_state).where(step_state.c.run_id == run_id).order_by(step_state.c.step_id)
        with self._read() as connection:
            return [StepRow.model_validate(dict(row)) for row in connection.execute(query).mappings()]

    def read_open_steps(self, run_id: str) -> list[StepRow]:
        """Those of them that may have to be undone: what an attempt did that ended well stays, whoever retries it."""
        ended_well = select(run_outcome.c.attempt).where(
            run_outcome.c.run_id == run_id, run_outcome.c.status == RunStatus.SUCCEEDED.value
        )
        with self._read() as connection:
            kept = set(connection.execute(ended_well).scalars())
        return [one for one in self.read_steps(run_id) if one.attempt not in kept]


def _find_newest_generation(chain: ChainWriter, environment: str) -> int | None:
    newest = chain.fetch(
        select(func.max(generation.c.number).label("number")).where(generation.c.environment == environment)
    )
    return newest.number if newest else None


def _refuse_other_outcome(known: Any, status: str, environment_status: str | None) -> None:
    if (known.status, known.environment_status) != (status, environment_status):
        raise PermanentError(
            f"Run {known.run_id} of {known.environment} already ended as {known.status} at {known.at:%F %T} UTC.",
            "An outcome stays; start a new run.",
        )
