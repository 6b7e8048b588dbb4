"""Waiting for a run: progress on stderr, the run as the answer. Leaving never stops the run."""

import time
from typing import Any

import click

from console.cli.client import Api
from console.cli.options import Waiting
from console.cli.output import EXIT_CODES, CommandError, print_json, print_run
from console.cli.progress import open_display

EXIT_TIMEOUT = 124
EXIT_INTERRUPTED = 130
LIVE = ("queued", "running", "waiting")
#: Between two looks at a run: short at first, so that a short run is answered at once, then longer.
FIRST_POLL_SECONDS, LAST_POLL_SECONDS = 0.1, 0.5
#: The API may be restarted while a run goes on: so long it may be silent.
SILENCE_SECONDS = 60


def wait_for_run(api: Api, run: dict[str, Any], waiting: Waiting) -> dict[str, Any]:
    """The run when it ended, or as it was when the time was over. Ctrl-C ends the command, never the run."""
    if not waiting.is_wanted or run["status"] not in LIVE:
        return run
    try:
        pause_seconds = FIRST_POLL_SECONDS
        with open_display() as display:
            while run["status"] in LIVE and not waiting.is_over:
                display.show(run)
                time.sleep(pause_seconds)
                pause_seconds = min(pause_seconds * 1.5, LAST_POLL_SECONDS)
                run = _read_run(api, run["run_id"], waiting)
            display.show(run)
    except KeyboardInterrupt:
        tell_how_to_go_on(run)
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None
    return run


def _read_run(api: Api, run_id: str, waiting: Waiting) -> dict[str, Any]:
    silent_until = time.monotonic() + SILENCE_SECONDS
    while True:
        try:
            return api.get(f"/api/runs/{run_id}")
        except CommandError as failure:
            if failure.kind not in ("unavailable", "too_many") or waiting.is_over or time.monotonic() > silent_until:
                raise
            time.sleep(LAST_POLL_SECONDS)


def finish(api: Api, run: dict[str, Any], waiting: Waiting, as_json: bool) -> int:
    """Wait for a run, print it, and the exit code that tells how it ended."""
    return print_end(wait_for_run(api, run, waiting), waiting, as_json)


def print_end(run: dict[str, Any], waiting: Waiting, as_json: bool) -> int:
    """Print a run; its exit code, 124 for one that had to be left."""
    print_json(run) if as_json else print_run(run)
    if waiting.is_wanted and run["status"] in ("queued", "running"):
        tell_how_to_go_on(run)
        return EXIT_TIMEOUT
    return EXIT_CODES[run["status"]]


def tell_how_to_go_on(run: dict[str, Any]) -> None:
    """A run outlives the command that started it: say so, and how to follow and to stop it."""
    click.echo(f"The run goes on. Follow it: terrarium runs logs -f {run['run_id']}", err=True)
    click.echo(f"Stop it: terrarium runs cancel {run['run_id']}", err=True)
