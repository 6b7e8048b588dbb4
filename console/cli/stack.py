"""`terrarium status` and `terrarium doctor`: what runs, and what is in its way. Both work without the API."""

import click

from console.cli.options import json_option
from console.cli.output import print_json, print_table

EXIT_FINDINGS = 3


@click.command(epilog="Example: terrarium status --json")
@json_option
def status(as_json: bool) -> int:
    """Show the local stack: where it answers, and each part with its health. Code 3 where a part is not healthy."""
    from console.cli.local import read_status

    answer = read_status()
    if as_json:
        print_json(answer.to_json())
    else:
        print_table(
            ("part", "state", "healthy", "port"), [(p.name, p.state, p.is_healthy, p.port) for p in answer.parts]
        )
        if answer.prefect_url:
            click.echo(f"\nPrefect  {answer.prefect_url}\nAPI      {answer.api_url}")
        if answer.parts and "vault" not in {part.name for part in answer.parts}:
            click.echo("Vault    not part of it: `terrarium doctor` says how to have one")
        if not answer.is_up:
            click.echo(
                "Not everything runs: `make up` starts it, `terrarium doctor` finds what is in its way.", err=True
            )
    return 0 if answer.is_up else EXIT_FINDINGS


@click.command(epilog="Example: terrarium doctor --json")
@json_option
def doctor(as_json: bool) -> int:
    """Check this machine and the local stack; say what is wrong and what to do. Code 3 where there are findings."""
    from console.cli.doctor import examine

    diagnosis = examine()
    if as_json:
        print_json(diagnosis.to_json())
        return 0 if diagnosis.ok else EXIT_FINDINGS
    for check in diagnosis.findings:
        mark = click.style("ok  ", fg="green") if check.ok else click.style("FIND", fg="red", bold=True)
        click.echo(f"{mark} {check.summary}: {check.detail}")
        if not check.ok:
            click.echo(f"     {check.resolution}")
    return 0 if diagnosis.ok else EXIT_FINDINGS
