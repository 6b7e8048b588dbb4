"""`terrarium approve`, `hold` and `unhold`: what a person says about a change, with the reason on record."""

from urllib.parse import quote

import click

from console.cli.client import connect
from console.cli.options import json_option
from console.cli.output import format_counts, print_json, print_table

reason_option = click.option("--reason", required=True, help="Why: it stands in the ledger beside your token's name.")


@click.command(epilog="Example: terrarium approve 9f2c41d08a7b --reason 'resize agreed on Monday'")
@click.argument("plan_id")
@reason_option
@json_option
def approve(plan_id: str, reason: str, as_json: bool) -> None:
    """Approve the plan that somebody else made; what it would change is shown. It counts for this plan alone."""
    answer = connect().post(f"/api/plans/{quote(plan_id, safe='')}/approve", {"reason": reason})
    if as_json:
        return print_json(answer)
    rows = [(change["action"], change["address"], change["reason"]) for change in answer["planned"]]
    print_table(("action", "resource", "reason"), rows, to_stderr=True)
    click.echo(format_counts(answer["changes"]), err=True)
    ends_at = answer["approvals"][-1]["expires_at"]
    click.echo(f"Plan {plan_id} of {answer['environment']} is approved until {ends_at}.")
    return click.echo(f"Apply it: terrarium env apply {answer['environment']} --plan {plan_id}", err=True)


@click.command(epilog="Example: terrarium hold staging --reason 'incident 12' --for 2h")
@click.argument("name")
@reason_option
@click.option("--for", "duration", required=True, metavar="DURATION", help="How long: 30m, 2h, 1d; at most 30d.")
@json_option
def hold(name: str, reason: str, duration: str, as_json: bool) -> None:
    """Keep an environment as it is: new changes are refused, what goes on is not stopped."""
    answer = connect().post(f"/api/environments/{quote(name, safe='')}/hold", {"reason": reason, "duration": duration})
    if as_json:
        return print_json(answer)
    return click.echo(f"{name} is held until {answer['expires_at']}. To end it: terrarium unhold {name}")


@click.command(epilog="Example: terrarium unhold staging")
@click.argument("name")
@json_option
def unhold(name: str, as_json: bool) -> None:
    """End a hold, yours or another's; the ledger keeps who ended it."""
    answer = connect().call("DELETE", f"/api/environments/{quote(name, safe='')}/hold")
    if as_json:
        return print_json(answer)
    return click.echo(f"{name} is free again; {answer['holder']} held it: {answer['reason']}")
