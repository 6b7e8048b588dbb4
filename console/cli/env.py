"""`terrarium env`: plan, make, look at, compare, extend and remove environments."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from console.cli.client import Api, connect
from console.cli.options import Waiting, json_option, read_waiting, replace_option, waiting_options, yes_option
from console.cli.output import EXIT_CODES, print_changes, print_json, print_table
from console.cli.source import Source, read_source
from console.cli.wait import finish, print_end, wait_for_run


@click.group()
def env() -> None:
    """Environments: plan, apply, upgrade, list, show, diff, destroy, extend, unlock."""


def _start(api: Api, source: Source, *, plan_only: bool, replace: Sequence[str] = ()) -> dict[str, Any]:
    """Start a run of a file, or of the stored spec where there is only a name."""
    if source.text is not None:
        body = {"spec": source.text, "file_name": source.name, "plan_only": plan_only, "replace": replace}
        return api.post("/api/environments", body)
    if plan_only:
        return api.post(f"/api/environments/{source.name}/plan")
    return api.post(f"/api/environments/{source.name}/apply", {"replace": replace})


@env.command(epilog="Example: terrarium env plan environments/staging.yaml")
@click.argument("file")
@json_option
@waiting_options
def plan(file: str, as_json: bool, timeout: float | None, no_wait: bool) -> int:
    """Show what applying FILE would change; nothing is changed.

    FILE is a path, or the bare name of an environment.
    """
    waiting, source, api = read_waiting(timeout, no_wait), read_source(file), connect()
    run = wait_for_run(api, _start(api, source, plan_only=True), waiting)
    if run["status"] == "succeeded" and not as_json:
        print_changes(run)
    return print_end(run, waiting, as_json)


@env.command(epilog="Example: terrarium env apply environments/staging.yaml --timeout 1800")
@click.argument("file")
@click.option("--plan", "plan_id", metavar="ID", help="Apply exactly this plan; FILE is then the environment's name.")
@replace_option
@yes_option
@json_option
@waiting_options
def apply(
    file: str,
    plan_id: str | None,
    replace: tuple[str, ...],
    yes: bool,
    as_json: bool,
    timeout: float | None,
    no_wait: bool,
) -> int:
    """Make an environment as FILE says: show the plan, ask, and apply exactly that plan.

    FILE is a path, or the bare name of an environment. With --yes one run plans and applies.
    """
    if no_wait and not (yes or plan_id):
        raise click.UsageError("--no-wait needs --yes or --plan: without waiting there is no plan to ask about.")
    waiting, api = read_waiting(timeout, no_wait), connect()
    if plan_id:
        return _apply_plan(api, Path(file).stem, plan_id, replace, waiting, as_json)
    source = read_source(file)
    if yes:
        return finish(api, _start(api, source, plan_only=False, replace=replace), waiting, as_json)
    _need_terminal()
    planned = wait_for_run(api, _start(api, source, plan_only=True), waiting)
    return _ask_and_apply(api, planned, replace, waiting, as_json, yes=False)


@env.command(epilog="Example: terrarium env upgrade staging")
@click.argument("name")
@replace_option
@yes_option
@json_option
@waiting_options
def upgrade(name: str, replace: tuple[str, ...], yes: bool, as_json: bool, timeout: float | None, no_wait: bool) -> int:
    """Let an environment use the Terraform modules of this version: show what that changes, ask, and apply it.

    Until then it keeps those that it was made with.
    """
    if no_wait:
        raise click.UsageError("--no-wait does not go with an upgrade: it is a plan and its apply.")
    if not yes:
        _need_terminal()
    waiting, api = read_waiting(timeout, no_wait), connect()
    planned = wait_for_run(api, api.post(f"/api/environments/{name}/plan", {"upgrade": True}), waiting)
    return _ask_and_apply(api, planned, replace, waiting, as_json, yes=yes)


def _ask_and_apply(
    api: Api, planned: dict[str, Any], replace: tuple[str, ...], waiting: Waiting, as_json: bool, *, yes: bool
) -> int:
    """Show a plan that was made, ask, and apply exactly that one."""
    if planned["status"] != "succeeded":
        return print_end(planned, waiting, as_json)
    print_changes(planned)
    counts: dict[str, int] = planned["changes"] or {}
    if not yes and any(counts.values()) and not click.confirm(f"Apply this to {planned['environment']}?", err=True):
        print_end(planned, waiting, as_json)
        return EXIT_CODES["failed"]
    return _apply_plan(api, planned["environment"], planned["plan_id"], replace, waiting, as_json)


def _apply_plan(api: Api, name: str, plan_id: str, replace: tuple[str, ...], waiting: Waiting, as_json: bool) -> int:
    run = api.post(f"/api/environments/{name}/apply", {"plan_id": plan_id, "replace": replace})
    return finish(api, run, waiting, as_json)


def _need_terminal() -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask on: give --yes.")


@env.command("list", epilog="Example: terrarium env list --json")
@json_option
def list_environments(as_json: bool) -> None:
    """List all environments."""
    answer = connect().get("/api/environments")
    if as_json:
        return print_json(answer)
    keys = ("name", "class", "status", "scope", "account", "region", "resources", "expires_at")
    return print_table(
        [key.replace("_", " ") for key in keys], [[row[key] for key in keys] for row in answer["environments"]]
    )


@env.command(epilog="Example: terrarium env show dev")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show one environment: its state, spec and last runs."""
    answer = connect().get(f"/api/environments/{name}")
    if as_json:
        return print_json(answer)
    print_table(("key", "value"), [*answer["environment"].items(), ("held by", _describe_hold(answer["hold"]))])
    click.echo()
    print_table(("spec", "value"), _flatten(answer["spec"]))
    click.echo()
    return print_table(
        ("run", "operation", "status", "started at", "by"),
        [(run["run_id"], run["operation"], run["status"], run["started_at"], run["actor"]) for run in answer["runs"]],
    )


def _describe_hold(hold: dict[str, Any] | None) -> str | None:
    return f"{hold['holder']} until {hold['expires_at']}: {hold['reason']}" if hold else None


def _flatten(value: Any, key: str = "") -> list[tuple[str, Any]]:
    """A nested mapping as rows of dotted keys; what is not set is left out."""
    if isinstance(value, dict):
        return [row for name, inner in value.items() for row in _flatten(inner, f"{key}.{name}" if key else name)]
    return [] if value is None else [(key, value)]


@env.command(epilog="Example: terrarium env diff staging production")
@click.argument("a")
@click.argument("b")
@json_option
def diff(a: str, b: str, as_json: bool) -> None:
    """Show key by key how environment B differs from environment A. Differences are no failure."""
    answer = connect().get(f"/api/environments/{a}/diff/{b}")
    if as_json:
        return print_json(answer)
    click.echo(f"{a}: {answer['a_source']}. {b}: {answer['b_source']}.", err=True)
    return print_table(("key", a, b), [(row["key"], row["a"], row["b"]) for row in answer["differences"]])


@env.command(epilog="Example: terrarium env destroy staging --yes")
@click.argument("name")
@yes_option
@json_option
@waiting_options
def destroy(name: str, yes: bool, as_json: bool, timeout: float | None, no_wait: bool) -> int:
    """Remove an environment: list what goes and what stays, and ask. A protected one is refused with code 2."""
    waiting, api = read_waiting(timeout, no_wait), connect()
    answer = api.get(f"/api/environments/{name}")
    if not answer["is_protected"]:
        _print_removal(answer)
        if not yes:
            _need_terminal()
            click.confirm(f"Remove {name}?", abort=True, err=True)
    return finish(api, api.call("DELETE", f"/api/environments/{name}"), waiting, as_json)


def _print_removal(answer: dict[str, Any]) -> None:
    environment = answer["environment"]
    click.echo(
        f"{environment['resources']} resources of {environment['name']} go, in {environment['region']}.", err=True
    )
    for item in answer["leftovers"]:
        click.echo(f"Stays: {item['what']}, {item['stays']}.", err=True)


@env.command(epilog="Example: terrarium env extend try 8h --reason 'demo on Friday'")
@click.argument("name")
@click.argument("duration")
@click.option("--reason", default="", help="Why, for the ledger.")
@json_option
def extend(name: str, duration: str, reason: str, as_json: bool) -> None:
    """Give an environment that expires DURATION more time: 30m, 8h, 2d."""
    answer = connect().post(f"/api/environments/{name}/extend", {"duration": duration, "reason": reason})
    if as_json:
        return print_json(answer)
    return click.echo(f"{name} expires at {answer['expires_at']}.")


@env.command(epilog="Example: terrarium env unlock staging --reason 'its node was terminated'")
@click.argument("name")
@click.option("--reason", required=True, help="Why the run is known to be dead, for the ledger.")
@json_option
def unlock(name: str, reason: str, as_json: bool) -> None:
    """Declare dead the run that holds an environment and cannot be proved dead; within a minute it is swept.

    A run that lives after all records nothing more, and fails at its next step.
    """
    run = connect().post(f"/api/environments/{name}/unlock", {"reason": reason})
    if as_json:
        return print_json(run)
    return click.echo(f"{name} is unlocked; run {run['run_id']} by {run['actor'] or '?'} counts as dead.")
