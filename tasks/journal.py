"""Terraform's stream as it comes: into the ledger, event by event, and onto a Prefect progress artifact."""

import json
from hashlib import sha256
from typing import Any

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from domain.changes import Changes
from domain.progress import Event, Progress, estimate, list_planned, read_event, render_progress
from tasks.ledger import ledger
from tasks.run import Run, read_clock

#: Seconds between two updates of the artifact: a call to Prefect each time, about 20 ms.
UPDATE_SECONDS = 1.0


class Journal:
    """The events of one apply. Use `add` as the callback of the stream; `digest` is what the step's finish records."""

    def __init__(self, run: Run, changes: Changes) -> None:
        self._run = run
        self._history = ledger().read_history(run.spec.cloud, run.operation)
        self.events: list[Event] = []
        self._keep(list_planned(changes, read_clock()))
        self._artifact = create_progress_artifact(
            progress=0.0, key=f"progress-{run.environment}", description=f"{run.operation} {run.environment}"
        )
        self._shown_at = read_clock()

    def add(self, message: dict[str, Any]) -> None:
        """Keep a message of Terraform's stream, if it tells of a resource, and show where the apply is."""
        if event := read_event(message):
            self._keep([event])
        now = read_clock()
        if (now - self._shown_at).total_seconds() >= UPDATE_SECONDS:
            self._show(estimate(self.events, self._history, now))
            self._shown_at = now

    def close(self) -> dict[str, Any]:
        """The last look, and what stands in the ledger's chain for all of the journal's rows."""
        self._show(estimate(self.events, self._history, read_clock()))
        rows = json.dumps([event.model_dump(mode="json") for event in self.events], sort_keys=True)
        return {"events": len(self.events), "journal_sha256": sha256(rows.encode()).hexdigest()}

    def _keep(self, events: list[Event]) -> None:
        self.events.extend(events)
        ledger().add_journal(self._run.run_id, events)

    def _show(self, progress: Progress) -> None:
        update_progress_artifact(self._artifact, progress=progress.percent, description=render_progress(progress))
