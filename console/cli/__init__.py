"""The `terrarium` command: the API's client. `doctor`, `status`, `backup` and `evidence verify` work without the API.

stdout carries the answer (with `--json` exactly one JSON object), stderr everything else. Heavy modules are imported
by the command that needs them, so that an answer takes well under a second.
"""

import sys

import click

from console.cli.account import account
from console.cli.backup import backup
from console.cli.drill import drill, failover
from console.cli.env import env
from console.cli.evidence import evidence
from console.cli.output import CommandError, print_failure
from console.cli.people import approve, hold, unhold
from console.cli.runs import runs
from console.cli.stack import doctor, status
from console.cli.token import token

EXIT_USAGE = 64
EXIT_INTERRUPTED = 130

EPILOG = """\b
Examples:
  terrarium env apply environments/dev.yaml
  terrarium env list --json
  terrarium doctor

\b
Exit codes: 0 ok, 1 failed, 2 refused or a broken spec, 3 findings,
4 waiting for a lease or an approval, 64 usage, 124 timeout.
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="terrarium", message="%(version)s")
def terrarium() -> None:
    """Environments from one YAML file: made, watched and removed by Prefect flows."""


for command in (env, runs, drill, failover, approve, hold, unhold, account, token, evidence, backup, status, doctor):
    terrarium.add_command(command)


def run(arguments: list[str]) -> int:
    """Run one command line; the exit code."""
    as_json = "--json" in arguments
    try:
        return terrarium.main(arguments, prog_name="terrarium", standalone_mode=False) or 0
    except click.UsageError as error:
        if as_json:
            return print_failure(CommandError("bad_request", error.format_message(), _find_usage(error)), as_json)
        error.show()
        return EXIT_USAGE
    except CommandError as failure:
        return print_failure(failure, as_json)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped. Nothing more was started.", err=True)
        return EXIT_INTERRUPTED


def _find_usage(error: click.UsageError) -> str:
    return f"See `{error.ctx.command_path} --help`." if error.ctx else "See `terrarium --help`."


def main() -> None:
    """Entry point of the installed command."""
    sys.exit(run(sys.argv[1:]))
