"""Environments as the ledger sees them: their lives, their status, and the overlays that an apply keeps."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from blocks.ledger.database import Database
from blocks.ledger.rows import EnvironmentRow, GenerationRow, TemporaryRow
from blocks.ledger.tables import extension, generation, loss, notice, run, run_outcome
from blocks.ledger.views import environment_state, live_generation
from domain.errors import PermanentError
from domain.status import EnvironmentStatus, Operation

LEAVING = (EnvironmentStatus.DESTROYING, EnvironmentStatus.DESTROYED, EnvironmentStatus.LOST)


class Generations(Database):
    """The lives of an environment: opened by its first run, closed by the outcome `destroyed` or by a loss."""

    def open_generation(self, environment: str, run_id: str, account: str, endpoint: str) -> GenerationRow:
        """The live generation as it was opened, or a new one that starts with this run.

        Compare its account and endpoint with your own before you change anything.
        """
        last = select(func.coalesce(func.max(generation.c.number), 0).label("number"))
        with self._append() as chain:
            row = chain.fetch(_select_live(environment))
            if row is None:
                newest = chain.fetch(last.where(generation.c.environment == environment))
                values = {
                    "environment": environment,
                    "number": (newest.number if newest else 0) + 1,
                    "origin_run_id": run_id,
                    "account": account,
                    "endpoint": endpoint,
                }
                actor = chain.read_run(run_id).actor
                chain.append(generation, values, environment=environment, actor=actor, run_id=run_id)
                row = chain.fetch(_select_live(environment))
        return GenerationRow.model_validate(row)

    def read_generation(self, environment: str) -> GenerationRow | None:
        """The live generation, None where there is none."""
        with self._read() as connection:
            row = connection.execute(_select_live(environment)).first()
        return GenerationRow.model_validate(row) if row else None

    def list_living(self, account: str) -> list[str]:
        """The names of the environments that live in an account now."""
        live = live_generation.c
        with self._read() as connection:
            names = connection.execute(select(live.environment).where(live.account == account).distinct())
            return sorted(names.scalars())

    def mark_lost(self, environment: str, reason: str, actor: str = "stack") -> bool:
        """Record that the account forgot the environment; False where none was live. The next run opens a new life."""
        with self._append() as chain:
            live = chain.fetch(_select_live(environment))
            if live is None:
                return False
            row = {"environment": environment, "generation": live.number, "actor": actor, "reason": reason}
            chain.append(loss, row, environment=environment, actor=actor, reason=reason, outcome="lost")
        return True


class Environments(Database):
    """The current state of environments."""

    def list_environments(self) -> list[EnvironmentRow]:
        """Every environment that was ever to be made, by name; those destroyed are among them."""
        with self._read() as connection:
            rows = connection.execute(select(environment_state).order_by(environment_state.c.name)).mappings()
            return [EnvironmentRow.model_validate(dict(row)) for row in rows]

    def read_environment(self, name: str) -> EnvironmentRow | None:
        """One environment; None where no run was ever to make it."""
        query = select(environment_state).where(environment_state.c.name == name)
        with self._read() as connection:
            row = connection.execute(query).mappings().first()
        return EnvironmentRow.model_validate(dict(row)) if row else None

    def read_made_version(self, name: str) -> int | None:
        """The version of the spec that the live environment was last made with: a run that goes on does not count.

        None where no run has left anything of it.
        """
        made = run_outcome.c
        is_attempt = (run.c.id == made.run_id) & (run.c.attempt == made.attempt)
        is_live = (live_generation.c.environment == made.environment) & (live_generation.c.number == made.generation)
        query = (
            select(run.c.spec_version)
            .join_from(run_outcome, run, is_attempt)
            .join(live_generation, is_live)
            .where(made.environment == name, made.environment_status.is_not(None))
            .where(run.c.operation == Operation.PROVISION.value, run.c.spec_version.is_not(None))
            .order_by(made.seq.desc())
            .limit(1)
        )
        with self._read() as connection:
            return connection.execute(query).scalar()


class Overlays(Database):
    """Extensions of a TTL, and the notices that were given of its end."""

    def add_extension(self, environment: str, expires_at: datetime, actor: str, reason: str = "") -> None:
        """Let a live environment end at another time; PermanentError where none is live."""
        row = {"environment": environment, "expires_at": expires_at, "actor": actor, "reason": reason}
        with self._append() as chain:
            if chain.fetch(_select_live(environment)) is None:
                raise PermanentError(
                    f"{environment} cannot be extended: it does not exist now.",
                    f"`terrarium env apply environments/{environment}.yaml` makes it, with its own TTL.",
                )
            outcome = f"expires {expires_at:%Y-%m-%dT%H:%M:%SZ}"
            chain.append(extension, row, environment=environment, actor=actor, reason=reason, outcome=outcome)

    def add_notice(self, environment: str, kind: str, expires_at: datetime, actor: str = "schedule") -> None:
        """Record that `kind` (`warn` or `expire`) was done about the end at `expires_at`."""
        row = {"environment": environment, "kind": kind, "expires_at": expires_at, "actor": actor}
        with self._append() as chain:
            chain.append(notice, row, environment=environment, actor=actor, outcome=kind)

    def list_temporary(self) -> list[TemporaryRow]:
        """Live environments with an end, the next one first; those that are being destroyed are left out."""
        state = environment_state.c
        warned = _select_notice("warn", notice.c.expires_at).order_by(notice.c.seq.desc()).limit(1)
        expiring = _select_notice("expire", func.max(notice.c.at)).where(notice.c.expires_at == state.expires_at)
        query = select(
            state.name.label("environment"),
            *(state.status, state.expires_at, state.warning_minutes),
            warned.scalar_subquery().label("warned_for"),
            expiring.scalar_subquery().label("expiring_since"),
        ).where(state.expires_at.is_not(None), state.status.not_in([status.value for status in LEAVING]))
        with self._read() as connection:
            rows = connection.execute(query.order_by(state.expires_at))
            return [TemporaryRow.model_validate(row) for row in rows]


def _select_live(environment: str) -> Select[Any]:
    live = live_generation.c
    return select(live_generation, live.at.label("opened_at")).where(live.environment == environment)


def _select_notice(kind: str, what: Any) -> Select[Any]:
    return select(what).where(notice.c.environment == environment_state.c.name, notice.c.kind == kind)
