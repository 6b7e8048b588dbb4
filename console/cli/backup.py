"""`terrarium backup`: of environments, by the API; of the control plane itself, and the check of a dump, without it.

The API may not copy: no server of ours knows the passwords of both databases. So another process of the user's does,
by the credentials in the state folder, and answers in JSON. A dump is checked where it lies: on the user's disk.
"""

import json
import subprocess
import sys
from pathlib import Path

import click

from console.cli.options import json_option, read_waiting, waiting_options, yes_option
from console.cli.output import CommandError, print_json
from console.cli.verdict import EXIT_UNPROVED, print_verdict

JSON_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def backup() -> None:
    """Backups: take, list and verify them; copy and restore the control plane itself."""


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


@backup.command(
    epilog="""\b
Example: terrarium backup take dev
         terrarium backup take dev --kind physical"""
)
@click.argument("environment")
@click.option(
    "--kind",
    type=click.Choice(("logical", "physical")),
    help="A dump, or a base backup with its WAL; else what ENVIRONMENT's file says.",
)
@json_option
@waiting_options
def take(environment: str, kind: str | None, as_json: bool, timeout: float | None, no_wait: bool) -> int:
    """Take a backup of ENVIRONMENT's database into its account's vault."""
    from console.cli.backups import take_backup

    return take_backup(environment, kind, as_json, read_waiting(timeout, no_wait))


@backup.command("list", epilog="Example: terrarium backup list dev")
@click.argument("environment")
@json_option
def list_(environment: str, as_json: bool) -> None:
    """List the backups of ENVIRONMENT, the newest first, with what their restore tests said."""
    from console.cli.backups import list_backups

    list_backups(environment, as_json)


@backup.command(
    epilog="""\b
Example: terrarium backup verify dev
         terrarium backup verify --file shop.dump --expectations suites.json"""
)
@click.argument("environment", required=False)
@click.option("--backup", "backup_id", metavar="ID", help="Which backup of ENVIRONMENT; else the newest.")
@click.option("--file", type=click.Path(exists=True, path_type=Path), help="A PostgreSQL dump on this machine.")
@click.option("--expectations", type=JSON_FILE, help="JSON: table to suite of Great Expectations. With --file.")
@click.option("--manifest", type=JSON_FILE, help="JSON: sha256, tables with rows and hash, sentinels. With --file.")
@click.option("--invariants", type=JSON_FILE, help="JSON: name to a query that returns what breaks it. With --file.")
@json_option
@waiting_options
def verify(
    environment: str | None,
    backup_id: str | None,
    file: Path | None,
    expectations: Path | None,
    manifest: Path | None,
    invariants: Path | None,
    as_json: bool,
    timeout: float | None,
    no_wait: bool,
) -> int:
    """Restore a backup of ENVIRONMENT, or a dump of yours, into a scratch server, and ask it five questions.

    Code 0 passed, 3 failed or incomplete. A dump may be in PostgreSQL's custom, tar, directory or plain format. It is
    restored on this machine, without the API, without a network, by a role and an operating-system user without rights.
    """
    if (environment is None) == (file is None):
        raise click.UsageError("Name an environment, or a dump with --file.")
    if environment is not None:
        from console.cli.backups import verify_backup

        return verify_backup(environment, backup_id, as_json, read_waiting(timeout, no_wait))
    if file is None or expectations is None:
        raise click.UsageError("A dump is verified against --expectations.")
    return _verify_file(file, expectations, manifest, invariants, as_json)


def _verify_file(file: Path, expectations: Path, manifest: Path | None, invariants: Path | None, as_json: bool) -> int:
    from console.cli.verification import verify_file

    verdict, ignored = verify_file(file, expectations, manifest, invariants)
    if ignored:
        click.echo(f"The manifest's {', '.join(ignored)} are not known and were not looked at.", err=True)
    told = verdict.to_json()
    print_json(told) if as_json else print_verdict(told)
    return 0 if verdict.status == "passed" else EXIT_UNPROVED


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
