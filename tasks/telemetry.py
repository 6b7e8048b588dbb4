"""What a run tells of itself while it works: fields of its log lines, and spans of its trace."""

from collections.abc import Iterator
from contextlib import contextmanager

from blocks.logs import speaking_of
from blocks.tracing import trace_run, trace_step
from domain.step import Step
from tasks.run import Run


@contextmanager
def tell_run(run: Run) -> Iterator[None]:
    """The run's log lines name it and its environment, and its trace begins."""
    about = {"environment": run.environment, "operation": run.operation.value, "actor": run.actor}
    with (
        speaking_of(run=run.run_id, environment=run.environment),
        trace_run(f"{run.operation} {run.environment}", run.run_id, **about),
    ):
        yield


@contextmanager
def tell_step(step: Step) -> Iterator[None]:
    """The step's log lines name it, and it has a span of its own."""
    with speaking_of(step=step.name), trace_step(step.name):
        yield
