"""Terraform's stream as it comes. It is telemetry outside the chain: its digest belongs into the finish of the step."""

from collections.abc import Iterable

from sqlalchemy import Select, cast, exists, insert, select
from sqlalchemy.dialects.postgresql import JSON

from blocks.ledger.database import Database
from blocks.ledger.tables import journal, spec
from blocks.ledger.views import run_state
from domain.progress import Event
from domain.status import Operation, RunStatus

RUNS_KEPT = 20  # the newest: older ones speak of another machine or version


class Journal(Database):
    """The events of runs, in the order they came."""

    def add_journal(self, run_id: str, events: Iterable[Event]) -> None:
        """Append events of a run, at once as they come."""
        values = [{**event.model_dump(), "run_id": run_id} for event in events]
        if values:
            with self._write() as connection:
                connection.execute(insert(journal), values)

    def read_journal(self, run_id: str) -> list[Event]:
        """The events of a run."""
        return self._read_journals([run_id])[run_id]

    def read_resource_ids(self, environment: str) -> set[str]:
        """The id of every resource that a run of an environment made, changed or removed, in all its generations."""
        query = (
            select(journal.c.resource_id)
            .join(run_state, run_state.c.run_id == journal.c.run_id)
            .where(run_state.c.environment == environment, journal.c.resource_id != "")
        )
        with self._read() as connection:
            return set(connection.execute(query).scalars())

    def read_history(self, cloud: str, operation: Operation) -> list[list[Event]]:
        """The events of the newest 20 runs that did the same on the same cloud and ended well, newest first."""
        with self._read() as connection:
            run_ids = list(connection.execute(_select_history(cloud, operation)).scalars())
        return list(self._read_journals(run_ids).values())

    def _read_journals(self, run_ids: list[str]) -> dict[str, list[Event]]:
        query = select(journal).where(journal.c.run_id.in_(run_ids)).order_by(journal.c.id)
        events: dict[str, list[Event]] = {run_id: [] for run_id in run_ids}
        with self._read() as connection:
            for row in connection.execute(query).mappings():
                events[row["run_id"]].append(Event.model_validate(dict(row)))
        return events


def _select_history(cloud: str, operation: Operation) -> Select[tuple[str]]:
    """Runs that have a journal. One that was run again is left out: its journal holds more than one apply."""
    run = run_state.c
    is_made_of = (spec.c.environment == run.environment) & (spec.c.version == run.spec_version)
    return (
        select(run.run_id)
        .join_from(run_state, spec, is_made_of)
        .where(
            run.operation == Operation(operation).value,
            run.status == RunStatus.SUCCEEDED.value,
            run.attempt == 1,
            cast(spec.c.spec_json, JSON)["cloud"].astext == cloud,
            exists().where(journal.c.run_id == run.run_id),
        )
        .order_by(run.seq.desc())
        .limit(RUNS_KEPT)
    )
