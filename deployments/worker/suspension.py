"""Hearing of a suspension beside a run that has begun. Prefect's engine waits for the ear before it begins the run."""

import contextvars
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import prefect.flow_engine
from prefect._flow_run_suspension import FlowRunSuspensionRequest, observe_flow_run_suspension

#: A run that has ended by then had no use for it.
DELAY_SECONDS = 1.0
JOIN_SECONDS = 3.0


@contextmanager
def observe_later(
    flow_run_id: UUID, suspension_request: FlowRunSuspensionRequest, polling_interval: float = 10
) -> Iterator[None]:
    """Prefect's own observer from `DELAY_SECONDS` on. It asks for the run's state first, so nothing is missed."""
    ended = threading.Event()

    def observe() -> None:
        if not ended.wait(DELAY_SECONDS):
            with observe_flow_run_suspension(flow_run_id, suspension_request, polling_interval):
                ended.wait()

    thread = threading.Thread(target=contextvars.copy_context().run, args=(observe,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(JOIN_SECONDS)


def install() -> None:
    """For every run of this process."""
    prefect.flow_engine.observe_flow_run_suspension = observe_later
