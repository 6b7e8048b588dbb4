"""`terrarium drill` and `terrarium failover`: rehearse a recovery, and do it for real."""

from typing import Any
from urllib.parse import quote, urlencode

import click

from console.cli.client import Api, connect
from console.cli.options import Waiting, json_option, read_waiting, waiting_options
from console.cli.output import EXIT_CODES, print_json, print_table
from console.cli.wait import EXIT_TIMEOUT, finish, tell_how_to_go_on, wait_for_run

EXIT_FINDINGS = 3
MODES = ("graceful", "ungraceful")
FAULTS = ("killed", "cut_off", "frozen")

mode_option = click.option(
    "--mode", type=click.Choice(MODES), default="graceful", show_default=True, help="A switchover, or a lost primary."
)
fault_option = click.option(
    "--fault",
    type=click.Choice(FAULTS),
    default="killed",
    show_default=True,
    help="What happens to the primary of an ungraceful drill; cut_off and frozen ones are still alive.",
)


@click.group()
def drill() -> None:
    """Recovery drills: run, list, show, approve."""


@drill.command("run", epilog="Example: terrarium drill run dev --mode ungraceful")
@click.argument("environment")
@mode_option
@fault_option
@json_option
@waiting_options
def run_drill(environment: str, mode: str, fault: str, as_json: bool, timeout: float | None, no_wait: bool) -> int:
    """Rehearse the recovery of ENVIRONMENT: fail over, measure, fail back. Code 3 where it did not pass."""
    waiting, api = read_waiting(timeout, no_wait), connect()
    run = api.post(f"/api/environments/{quote(environment, safe='')}/drills", {"mode": mode, "fault": fault})
    return _finish_drill(api, wait_for_run(api, run, waiting), waiting, as_json)


def _finish_drill(api: Api, run: dict[str, Any], waiting: Waiting, as_json: bool) -> int:
    found = api.get(f"/api/drills/{run['run_id']}")
    print_json(found) if as_json else _print_drill(found)
    if waiting.is_wanted and found["status"] in ("queued", "running"):
        tell_how_to_go_on(run)
        return EXIT_TIMEOUT
    if found["rto_seconds"] is None and not found["not_measured"]:
        return EXIT_CODES[run["status"]]
    return 0 if found["status"] == "passed" else EXIT_FINDINGS


@drill.command("list", epilog="Example: terrarium drill list --environment dev --json")
@click.option("--environment", help="Only drills of this environment.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="So many of the newest.")
@json_option
def list_drills(environment: str | None, limit: int, as_json: bool) -> None:
    """List the newest drills with what they measured."""
    query = {"limit": limit} | ({"environment": environment} if environment else {})
    answer = connect().get(f"/api/drills?{urlencode(query)}")
    if as_json:
        return print_json(answer)
    keys = ("run_id", "environment", "mode", "status", "rto_seconds", "rpo_rows", "in_doubt_rows", "started_at")
    rows = [[row[key] for key in keys] for row in answer["drills"]]
    return print_table([key.replace("_", " ") for key in keys], rows)


@drill.command(epilog="Example: terrarium drill show 0198c2f4-6d1e-7c55-9a7e-3f0d8f6f2c11")
@click.argument("run_id")
@json_option
def show(run_id: str, as_json: bool) -> None:
    """Show one drill: what it measured against the objectives, and what to mend."""
    found = connect().get(f"/api/drills/{run_id}")
    return print_json(found) if as_json else _print_drill(found)


@drill.command(epilog="Example: terrarium drill approve production --mode graceful --reason 'agreed on Monday'")
@click.argument("environment")
@mode_option
@fault_option
@click.option("--reason", required=True, help="Why, for the ledger.")
@json_option
def approve(environment: str, mode: str, fault: str, reason: str, as_json: bool) -> None:
    """Approve drills of this kind of a protected environment, as it is specified now; somebody else then runs one."""
    body = {"mode": mode, "fault": fault, "reason": reason}
    answer = connect().post(f"/api/environments/{quote(environment, safe='')}/drills/approve", body)
    if as_json:
        return print_json(answer)
    return click.echo(f"{environment}: drill {answer['drill_id']} is approved until {answer['expires_at']}.")


def _print_drill(found: dict[str, Any]) -> None:
    colour = {"passed": "green", "queued": None, "running": None}.get(found["status"], "red")
    how = " ".join(filter(None, (found["mode"], found["fault"])))
    click.echo(f"drill of {found['environment']} ({how or '-'}): {click.style(found['status'], fg=colour, bold=True)}")
    if found["rto_seconds"] is not None:
        click.echo(
            f"  outage {found['rto_seconds']:.3f} s, of it {found['detection_seconds']:.3f} s detection; "
            f"{found['rpo_rows']} acknowledged rows lost, {found['in_doubt_rows']} in doubt; "
            f"{found['diverged_rows_after_failback']} of {found['compared_rows']} rows differ after the failback"
        )
    for name, reason in found["not_measured"].items():
        click.echo(f"  not measured: {name}: {reason}")
    for line in (*found["to_mend"], found["error"], found["resolution"]):
        click.echo(f"  {line}") if line else None
    click.echo(f"  run {found['run_id']}" + (f"  {found['run_url']}" if found["run_url"] else ""))


@click.command(epilog="Example: terrarium failover production --reason 'eu-central-1 is gone'")
@click.argument("environment")
@click.option("--reason", required=True, help="Why, for the ledger.")
@click.option("--accept-loss", is_flag=True, help="Go on although writes may be lost.")
@json_option
@waiting_options
def failover(
    environment: str, reason: str, accept_loss: bool, as_json: bool, timeout: float | None, no_wait: bool
) -> int:
    """Fail ENVIRONMENT over to its standby, for real: what was drilled is what runs.

    It waits for no window, approval or hold. Where writes may be lost, it says how much and needs --accept-loss.
    """
    waiting, api = read_waiting(timeout, no_wait), connect()
    body = {"reason": reason, "accept_loss": accept_loss}
    run = api.post(f"/api/environments/{quote(environment, safe='')}/failover", body)
    return finish(api, run, waiting, as_json)
