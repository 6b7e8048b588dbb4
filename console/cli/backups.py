"""Backups of environments: the run is started and followed, and its backup or verdict is the answer."""

from typing import Any

import click

from console.cli.client import Api, connect
from console.cli.options import Waiting
from console.cli.output import print_json, print_table
from console.cli.verdict import EXIT_UNPROVED, print_verdict
from console.cli.wait import print_end, wait_for_run


def take_backup(environment: str, kind: str | None, as_json: bool, waiting: Waiting) -> int:
    """Start the run, follow it, and show the backup that it took."""
    api, wanted = connect(), {"kind": kind} if kind else {}
    run = wait_for_run(api, api.post(f"/api/environments/{environment}/backups", wanted), waiting)
    all_taken = [one for one in _read(api, environment) if one["run_id"] == run["run_id"]]
    taken = min(all_taken, key=lambda one: one["kind"] == "bucket", default=None)
    if run["status"] != "succeeded" or taken is None:
        return print_end(run, waiting, as_json)
    if as_json:
        print_json(taken)
    else:
        click.echo(f"{taken['id']} is in {taken['location']}, {taken['size_bytes'] / 1e6:.1f} MB.")
        click.echo(f"It is proved by a restore: terrarium backup verify {environment}", err=True)
    return 0


def verify_backup(environment: str, backup_id: str | None, as_json: bool, waiting: Waiting) -> int:
    """Start the run, follow it, and show the verdict; the run itself where it came to none."""
    api = connect()
    wanted = {"backup": backup_id} if backup_id else {}
    run = wait_for_run(api, api.post(f"/api/environments/{environment}/backups/verify", wanted), waiting)
    tests = ((one, one["verdict"]) for one in _read(api, environment) if one["verdict"])
    found = next(((one, test) for one, test in tests if test["run_id"] == run["run_id"]), None)
    if found is None:
        return print_end(run, waiting, as_json)
    restored, verdict = found
    told = {**verdict, "environment": environment, "backup_id": restored["id"]}
    print_json(told) if as_json else print_verdict(told)
    return 0 if verdict["status"] == "passed" else EXIT_UNPROVED


def list_backups(environment: str, as_json: bool) -> None:
    """Every backup, the newest first."""
    api = connect()
    if as_json:
        return print_json(api.get(f"/api/environments/{environment}/backups"))
    rows = [(one["id"], one["kind"], f"{one['size_bytes'] / 1e6:.1f}", *_tell(one)) for one in _read(api, environment)]
    return print_table(("backup", "kind", "MB", "verdict", "restore s", "gone since"), rows)


def _read(api: Api, environment: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"/api/environments/{environment}/backups")["backups"]
    return found


def _tell(one: dict[str, Any]) -> tuple[str, str, str]:
    verdict = one["verdict"] or {"status": "not verified", "restore_seconds": None}
    seconds = verdict["restore_seconds"]
    return verdict["status"], "" if seconds is None else f"{seconds:.1f}", one["lost_at"] or ""
