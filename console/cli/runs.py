"""`terrarium runs`: look at runs, follow their logs, stop and repeat them."""

import time
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import click

from console.cli.client import Api, connect
from console.cli.options import json_option, read_waiting, waiting_options
from console.cli.output import print_json, print_run, print_table
from console.cli.progress import describe
from console.cli.wait import LIVE, finish

FOLLOW_SECONDS = 0.5
LAST_LOOKS = 5
#: Lines arrive in batches from several processes: ask again for so much of the past, ids tell what is new.
OVERLAP = timedelta(seconds=5)


@click.group()
def runs() -> None:
    """Runs: list, show, logs, cancel, retry."""


@runs.command("list", epilog="Example: terrarium runs list --environment dev")
@click.option("--environment", help="Only runs of this environment.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="So many of the newest runs.")
@json_option
def list_runs(environment: str | None, limit: int, as_json: bool) -> None:
    """List the newest runs."""
    query = {"limit": limit} | ({"environment": environment} if environment else {})
    answer = connect().get(f"/api/runs?{urlencode(query)}")
    if as_json:
        return print_json(answer)
    keys = ("run_id", "operation", "environment", "status", "started_at", "finished_at", "actor")
    return print_table([key.replace("_", " ") for key in keys], [[row[key] for key in keys] for row in answer["runs"]])


@runs.command(epilog="Example: terrarium runs show 0198c2f4-6d1e-7c55-9a7e-3f0d8f6f2c11")
@click.argument("run_id")
@json_option
def show(run_id: str, as_json: bool) -> None:
    """Show one run: how far it is, or how it ended."""
    run = connect().get(f"/api/runs/{run_id}")
    if as_json:
        return print_json(run)
    print_run(run)
    return click.echo(f"  {describe(run)}") if run["progress"] else None


@runs.command(epilog="Example: terrarium runs logs -f 0198c2f4-6d1e-7c55-9a7e-3f0d8f6f2c11")
@click.argument("run_id")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run has ended.")
@json_option
def logs(run_id: str, follow: bool, as_json: bool) -> None:
    """Print the log of a run."""
    if as_json and follow:
        raise click.UsageError("--json gives one object: it cannot follow.")
    api, seen = connect(), dict[str, dict[str, Any]]()
    looks_left = LAST_LOOKS
    while True:
        # A run's last lines reach Prefect a moment after its end.
        looks_left -= follow and api.get(f"/api/runs/{run_id}")["status"] not in LIVE
        has_ended = not follow or not looks_left
        for line in _read_new_lines(api, run_id, seen):
            if not as_json:
                click.echo(f"{line['at'][11:19]} {line['level']:<8} {line['message']}")
        if has_ended:
            break
        time.sleep(FOLLOW_SECONDS)
    if as_json:
        print_json({"lines": list(seen.values())})


def _read_new_lines(api: Api, run_id: str, seen: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """All lines that were not seen yet, however many pages they fill; they are then seen."""
    found: list[dict[str, Any]] = []
    overlap = OVERLAP
    while True:
        newest = max((line["at"] for line in seen.values()), default=None)
        after = f"?{urlencode({'after': (datetime.fromisoformat(newest) - overlap).isoformat()})}" if newest else ""
        lines = api.get(f"/api/runs/{run_id}/logs{after}")["lines"]
        new = [line for line in lines if line["id"] not in seen]
        seen.update({line["id"]: line for line in new})
        found += new
        if not new:
            return found
        overlap = timedelta()


@runs.command(epilog="Example: terrarium runs cancel 0198c2f4-6d1e-7c55-9a7e-3f0d8f6f2c11")
@click.argument("run_id")
@json_option
def cancel(run_id: str, as_json: bool) -> None:
    """Ask a run to stop. Terraform ends what it has begun and writes its state first."""
    run = connect().post(f"/api/runs/{run_id}/cancel")
    return print_json(run) if as_json else print_run(run)


@runs.command(epilog="Example: terrarium runs retry 0198c2f4-6d1e-7c55-9a7e-3f0d8f6f2c11")
@click.argument("run_id")
@json_option
@waiting_options
def retry(run_id: str, as_json: bool, timeout: float | None, no_wait: bool) -> int:
    """Start a new run of the same spec version: it continues from what exists."""
    waiting, api = read_waiting(timeout, no_wait), connect()
    return finish(api, api.post(f"/api/runs/{run_id}/retry"), waiting, as_json)
