"""`terrarium backup`: copies of the control plane itself, and the check of a dump. Both work without the API.

The API may not copy: no server of ours knows the passwords of both databases. So another process of the user's does,
by the credentials in the state folder, and answers in JSON. A dump is checked where it lies: on the user's disk.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.cli.options import json_option, yes_option
from console.cli.output import CommandError, print_json

if TYPE_CHECKING:
    from domain.backup import Answer, BackupVerdict

EXIT_UNPROVED = 3
JSON_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def backup() -> None:
    """Backups: verify one; of Prefect's database and the ledger, take one and restore one."""


@backup.command("control-plane", epilog="Example: terrarium backup control-plane --to ~/backups")
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), help="A folder; else the account's vault.")
@json_option
def control_plane(to: Path | None, as_json: bool) -> None:
    """Copy both databases into the vault, encrypted, or into a folder that only you can read."""
    _answer(["backup", *(("--to", str(to.absolute())) if to else ())], as_json, "Both databases are in")


@backup.command(epilog="Example: terrarium backup restore ~/backups/control-plane-20261124T120000Z --yes")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@yes_option
@json_option
def restore(folder: Path, yes: bool, as_json: bool) -> None:
    """Put the backup in FOLDER in the place of both databases; the stack must be down.

    What was there stays beside it until the next restore. Refused without --yes where something is there.
    """
    _answer(["restore", str(folder.absolute()), *(["--yes"] if yes else [])], as_json, "Restored from")


@backup.command(epilog="Example: terrarium backup verify --file shop.dump --expectations suites.json")
@click.option("--file", type=click.Path(exists=True, path_type=Path), required=True, help="A PostgreSQL dump.")
@click.option("--expectations", type=JSON_FILE, required=True, help="JSON: table to suite of Great Expectations.")
@click.option("--manifest", type=JSON_FILE, help="JSON: sha256, tables with rows and hash, sentinels.")
@click.option("--invariants", type=JSON_FILE, help="JSON: name to a query that returns the rows that break it.")
@json_option
def verify(file: Path, expectations: Path, manifest: Path | None, invariants: Path | None, as_json: bool) -> int:
    """Restore a dump into a scratch server, and ask it five questions. Code 0 passed, 3 failed or incomplete.

    The dump may be in PostgreSQL's custom, tar, directory or plain format. It is restored without a network, by a role
    and an operating-system user without rights, here on this machine.
    """
    from console.cli.verification import verify_file

    verdict, ignored = verify_file(file, expectations, manifest, invariants)
    if ignored:
        click.echo(f"The manifest's {', '.join(ignored)} are not known and were not looked at.", err=True)
    print_json(verdict.to_json()) if as_json else _print_verdict(verdict)
    return 0 if verdict.status == "passed" else EXIT_UNPROVED


def _print_verdict(verdict: "BackupVerdict") -> None:
    colour = {"passed": "green", "failed": "red"}.get(verdict.status, "yellow")
    took = f", restored in {verdict.restore_seconds:.1f} s" if verdict.restore_seconds is not None else ""
    click.echo(f"{click.style(verdict.status, fg=colour, bold=True)}{took}")
    for question, found in verdict.questions.items():
        click.echo(f"  {question.value:<11} {_tell(found)}")
        for fault in found.faults:
            click.echo(f"    {fault}")


def _tell(found: "Answer") -> str:
    if found.passed is None:
        return f"not asked: {found.unasked}" if found.unasked else "not asked: there is nothing to hold it against"
    return "yes" if found.passed else click.style("no", fg="red")


def _answer(arguments: list[str], as_json: bool, words: str) -> None:
    """Run the local stack's own command and show its answer, or raise what it was told."""
    from blocks.settings import CHECKOUT
    from console.contract_evidence import Backup

    command = [sys.executable, "-m", "deployments.local", *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        raise CommandError(
            "failed",
            done.stderr.strip() or "The command ended without an answer.",
            "`terrarium doctor` finds what is in the way.",
        ) from error
    if done.returncode:
        raise CommandError(answer["kind"], answer["summary"], answer["resolution"])
    found = Backup.model_validate(answer)
    if as_json:
        return print_json(found.to_json())
    return click.echo(f"{words} {found.location}, up to event {found.head_seq}.")
