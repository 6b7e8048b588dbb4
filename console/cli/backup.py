"""`terrarium backup`: copies of the control plane itself. They work on this machine's stack, without the API.

The API may not do it: no server of ours knows the passwords of both databases. So another process of the user's does,
by the credentials in the state folder, and answers in JSON.
"""

import json
import subprocess
import sys
from pathlib import Path

import click

from console.cli.options import json_option, yes_option
from console.cli.output import CommandError, print_json


@click.group()
def backup() -> None:
    """Backups of Prefect's database and the ledger: take one, restore one."""


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
