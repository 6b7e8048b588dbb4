"""Terraform's stream as it comes: into the ledger, event by event, and onto a Prefect progress artifact.

An exception here would interrupt the apply. So what cannot be written while a server is away is written later, and what
cannot be shown is not shown.
"""

import json
from contextlib import suppress
from hashlib import sha256
from typing import Any, cast
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException

from blocks.terraform_stream import read_message
from domain.changes import Changes
from domain.errors import TemporaryError
from domain.progress import Event, Progress, estimate, list_planned, read_event, render_progress
from domain.status import Operation, RunStatus
from tasks.ledger import ledger
from tasks.run import Run, read_clock

#: Seconds between two updates of the artifact: a call to Prefect each time, about 20 ms.
UPDATE_SECONDS = 1.0


class Journal:
    """The events of one apply. Use `add` as the callback of the stream; `digest` is what the step's finish records."""

    def __init__(self, run: Run, changes: Changes) -> None:
        self._run = run
        self._logger = get_run_logger()
        self._history = ledger().read_history(run.spec.cloud, run.operation)
        self.events: list[Event] = []
        self._unwritten: list[Event] = []
        self._keep(list_planned(changes, read_clock()))
        artifact = create_progress_artifact(
            progress=0.0, key=f"progress-{run.environment}", description=f"{run.operation} {run.environment}"
        )
        self._artifact = cast(UUID, artifact)  # Prefect's type names a coroutine too, for callers that are async
        self._shown_at = read_clock()

    def add(self, message: dict[str, Any]) -> None:
        """Keep a message of Terraform's stream, if it tells of a resource, and show where the apply is."""
        if event := read_event(message):
            self._keep([event])
            if event.kind != "started":
                self._logger.info("%s %s: %s, %.0f s", event.action, event.address, event.kind, event.elapsed_seconds)
        now = read_clock()
        if (now - self._shown_at).total_seconds() >= UPDATE_SECONDS:
            self._show(estimate(self.events, self._history, now))
            self._shown_at = now

    def close(self) -> dict[str, Any]:
        """The last look, and what stands in the ledger's chain for all of the journal's rows."""
        self._show(estimate(self.events, self._history, read_clock()))
        self._write()
        return digest_events(self.events)

    def _keep(self, events: list[Event]) -> None:
        self.events += events
        self._unwritten += events
        with suppress(TemporaryError):
            self._write()

    def _write(self) -> None:
        ledger().add_journal(self._run.run_id, self._unwritten)
        self._unwritten = []

    def _show(self, progress: Progress) -> None:
        with suppress(httpx.HTTPError, PrefectException):
            update_progress_artifact(self._artifact, progress=progress.percent, description=render_progress(progress))


def complete_journal(run: Run) -> dict[str, Any]:
    """Add what the last apply of a dead run told after its run could write it down, and what stands for all of it.

    Terraform's output outlives the run: it is a file of the scratch folder.
    """
    known = ledger().read_journal(run.run_id)
    seen = {(event.at, event.kind, event.address) for event in known}
    told = (read_event(message) for message in _read_transcript(run))
    missing = [event for event in told if event and (event.at, event.kind, event.address) not in seen]
    ledger().add_journal(run.run_id, missing)
    return digest_events(known + missing)


def digest_events(events: list[Event]) -> dict[str, Any]:
    """How many events there were, and the sha256 over them."""
    rows = json.dumps([event.model_dump(mode="json") for event in events], sort_keys=True)
    return {"events": len(events), "journal_sha256": sha256(rows.encode()).hexdigest()}


def _read_transcript(run: Run) -> list[dict[str, Any]]:
    paths = run.folder.glob("stacks/*/apply.jsonl")
    lines = (line for path in paths for line in path.read_text(errors="replace").splitlines())
    return [message for line in lines if (message := read_message(line))]


def read_failed(run: Run) -> list[Event]:
    """The journals of the provisionings since the last one that ended well, oldest first."""
    events: list[Event] = []
    for earlier in ledger().list_runs(run.environment):
        if (earlier.operation, earlier.status) == (Operation.PROVISION, RunStatus.SUCCEEDED):
            break
        events = ledger().read_journal(earlier.run_id) + events
    return events
