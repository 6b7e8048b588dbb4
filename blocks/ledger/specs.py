"""Specs, the requests that people make, and the plans that they are shown."""

import hashlib
from datetime import datetime

from sqlalchemy import RowMapping, select

from blocks.ledger.database import Database
from blocks.ledger.rows import PlanRow, RequestRow, SpecVersion
from blocks.ledger.tables import plan, request, spec
from domain.errors import PermanentError
from domain.status import Operation


class Specs(Database):
    """Versioned specs of environments."""

    def add_spec(self, environment: str, spec_json: str, source_text: str, actor: str) -> int:
        """The version of a resolved spec, given as its canonical JSON; the newest one where it is the same."""
        digest = hashlib.sha256(spec_json.encode()).hexdigest()
        newest = select(spec.c.version, spec.c.digest).where(spec.c.environment == environment)
        with self._append() as chain:
            last = chain.fetch(newest.order_by(spec.c.version.desc()))
            if last and last.digest == digest:
                return int(last.version)
            row = {
                "environment": environment,
                "version": last.version + 1 if last else 1,
                "spec_json": spec_json,
                "source_text": source_text,
                "digest": digest,
                "actor": actor,
            }
            chain.append(spec, row, environment=environment, actor=actor)
        return int(row["version"])

    def read_spec(self, environment: str, version: int | None = None) -> SpecVersion:
        """One version of a spec, the newest without a number; PermanentError where there is none."""
        query = select(spec, spec.c.at.label("added_at")).where(spec.c.environment == environment)
        if version is not None:
            query = query.where(spec.c.version == version)
        with self._read() as connection:
            row = connection.execute(query.order_by(spec.c.version.desc()).limit(1)).mappings().first()
        if row is None:
            which = "spec" if version is None else f"version {version} of a spec"
            raise PermanentError(
                f"The ledger has no {which} for {environment}.",
                f"`terrarium env apply environments/{environment}.yaml` stores one; `terrarium env list` has names.",
            )
        return SpecVersion.model_validate(dict(row))


class Requests(Database):
    """Who asked for which run, and why."""

    def add_request(
        self,
        id: str,  # noqa: A002 - the column's name, and the caller's word for it
        environment: str,
        operation: Operation,
        spec_version: int | None,
        plan_id: str | None,
        actor: str,
        reason: str = "",
        fingerprint: str | None = None,
    ) -> None:
        """Record a request; the same one again changes nothing, PermanentError where the id has another content."""
        row = {
            "id": id,
            "environment": environment,
            "operation": Operation(operation).value,
            "spec_version": spec_version,
            "plan_id": plan_id,
            "actor": actor,
            "reason": reason,
            "fingerprint": fingerprint,
        }
        with self._append() as chain:
            known = chain.fetch(select(request).where(request.c.id == id))
            if known is None:
                chain.append(request, row, environment=environment, actor=actor, reason=reason)
            elif any(known._mapping[name] != value for name, value in row.items()):
                raise PermanentError(
                    f"Request {id} was already made for {known.operation} of {known.environment} by {known.actor}.",
                    "Give a new request an id of its own.",
                )

    def read_request(self, id: str) -> RequestRow | None:  # noqa: A002 - as above
        """A request, None where no such one was made."""
        with self._read() as connection:
            row = connection.execute(select(request).where(request.c.id == id)).mappings().first()
        return RequestRow.model_validate(_with_added_at(row)) if row else None


class Plans(Database):
    """Saved Terraform plans: what was shown, and where it lies."""

    def add_plan(
        self,
        plan_id: str,
        environment: str,
        spec_version: int,
        run_id: str,
        digest: str,
        changes_json: str,
        location: str,
        expires_at: datetime,
        sha256: str | None = None,
    ) -> None:
        """Record a saved plan; `digest` and `changes_json` are of its `Changes`, `sha256` of its file.

        The newest plan of an id counts.
        """
        row = {
            "id": plan_id,
            "environment": environment,
            "spec_version": spec_version,
            "run_id": run_id,
            "digest": digest,
            "changes_json": changes_json,
            "location": location,
            "expires_at": expires_at,
            "sha256": sha256,
        }
        with self._append() as chain:
            actor = chain.read_run(run_id).actor
            chain.append(plan, row, environment=environment, actor=actor, run_id=run_id)

    def read_plan(self, plan_id: str) -> PlanRow | None:
        """A saved plan, expired or not, the newest with this id; None where there is none."""
        newest = select(plan).where(plan.c.id == plan_id).order_by(plan.c.seq.desc()).limit(1)
        with self._read() as connection:
            row = connection.execute(newest).mappings().first()
        return PlanRow.model_validate(_with_added_at(row)) if row else None


def _with_added_at(row: RowMapping) -> dict[str, object]:
    return {**row, "added_at": row["at"]}
