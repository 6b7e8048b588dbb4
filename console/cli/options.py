"""Options that several commands share, each written once."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print the answer as one JSON object on stdout.")
replace_option = click.option(
    "--replace",
    multiple=True,
    metavar="ADDRESS",
    help="A resource that holds data and may be replaced, destroyed or made smaller. Repeat it for each.",
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


@dataclass(frozen=True)
class Waiting:
    """Whether to wait for the end of a run, and until when (on the monotonic clock)."""

    is_wanted: bool
    ends_at: float | None

    @property
    def is_over(self) -> bool:
        """The time that the person gave is used up."""
        return self.ends_at is not None and time.monotonic() >= self.ends_at


def waiting_options(command: F) -> F:
    """`--timeout SECONDS` and `--no-wait`, given to the command as `timeout` and `no_wait`."""
    command = click.option(
        "--timeout",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="Wait no longer than this; the run goes on. Code 124, or 4 where the run itself waits for something.",
    )(command)
    return click.option("--no-wait", is_flag=True, help="Start the run and return at once.")(command)


def read_waiting(timeout: float | None, no_wait: bool) -> Waiting:
    """The two options as one value; the clock starts now, so that all runs of a command share the time."""
    return Waiting(is_wanted=not no_wait, ends_at=None if timeout is None else time.monotonic() + timeout)
