"""When a task is tried again: only if the raiser said that waiting helps."""

from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff

from domain.errors import TemporaryError


def is_temporary(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """A failure that waiting helps against, as its raiser says."""
    return isinstance(state.result(raise_on_failure=False), TemporaryError)


#: For tasks that may be repeated as they are: reads, and effects that converge.
REPEATABLE: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(backoff_factor=1),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": is_temporary,
    "cache_policy": NO_CACHE,
}
