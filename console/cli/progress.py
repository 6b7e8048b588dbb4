"""Progress of a run on stderr: a bar where there is a terminal, else a line whenever something moved."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import click

from console.cli.output import format_seconds

LINE_SECONDS = 15


class Display(Protocol):
    """Shows a run as it is now."""

    def show(self, run: dict[str, Any]) -> None:
        """Show the run's state and progress."""


def describe(run: dict[str, Any]) -> str:
    """What is happening, in one line without the counts."""
    progress = run["progress"]
    if run["status"] == "waiting" and run["resolution"]:
        return f"waiting. {run['resolution']}"
    if not progress or run["status"] != "running":
        return str(run["status"])
    parts = [_describe_eta(progress), _describe_slowest(progress["slowest"])]
    return ", ".join(part for part in parts if part) or "running"


def _describe_eta(progress: dict[str, Any]) -> str:
    if progress["eta_seconds"] is None:
        return "no earlier run to tell the time from"
    low, high = format_seconds(progress["eta_low_seconds"]), format_seconds(progress["eta_high_seconds"])
    return f"about {format_seconds(progress['eta_seconds'])} left ({low} to {high})"


def _describe_slowest(slowest: dict[str, Any] | None) -> str:
    return f"slowest {slowest['address']} {format_seconds(slowest['seconds'])}" if slowest else ""


class Lines:
    """Plain lines: one when status or count changed, and one every 15 seconds."""

    def __init__(self) -> None:
        self._seen: tuple[Any, ...] = ()
        self._told_at = 0.0

    def show(self, run: dict[str, Any]) -> None:
        """Print a line where something moved."""
        progress = run["progress"] or {"done": 0, "planned": 0}
        seen = (run["status"], progress["done"], progress["planned"])
        if seen == self._seen and time.monotonic() - self._told_at < LINE_SECONDS:
            return
        self._seen, self._told_at = seen, time.monotonic()
        counts = f"{progress['done']} of {progress['planned']} resources, " if progress["planned"] else ""
        click.echo(f"{run['operation']} {run['environment']}: {counts}{describe(run)}", err=True)


class Bar:
    """One bar of resources done of planned."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, counts="", detail="")

    def show(self, run: dict[str, Any]) -> None:
        """Move the bar."""
        progress = run["progress"] or {"done": 0, "planned": 0}
        self._progress.update(
            self._task,
            description=f"{run['operation']} {run['environment']}",
            completed=progress["done"],
            total=progress["planned"] or None,
            detail=describe(run),
            counts=f"{progress['done']}/{progress['planned']}" if progress["planned"] else "",
            refresh=True,
        )


@contextmanager
def open_display() -> Iterator[Display]:
    """A bar for a terminal, lines for everything else."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
        # A narrow terminal cuts the end of this one and leaves the others whole.
        TextColumn("{task.fields[detail]}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, expand=True) as progress:
        yield Bar(progress)
