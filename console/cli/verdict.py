"""A verdict over a backup, as a person reads it."""

from typing import Any

import click

EXIT_UNPROVED = 3


def print_verdict(verdict: dict[str, Any]) -> None:
    """Its status, an answer to each question, and every fault."""
    colour = {"passed": "green", "failed": "red"}.get(verdict["status"], "yellow")
    seconds = verdict["restore_seconds"]
    took = f", restored in {seconds:.1f} s" if seconds is not None else ""
    click.echo(f"{click.style(verdict['status'], fg=colour, bold=True)}{took}")
    for question, found in verdict["questions"].items():
        click.echo(f"  {question:<11} {_tell(found)}")
        for fault in found["faults"]:
            click.echo(f"    {fault}")


def _tell(found: dict[str, Any]) -> str:
    if found["passed"] is None:
        return f"not asked: {found['unasked']}" if found["unasked"] else "not asked: nothing to hold it against"
    return "yes" if found["passed"] else click.style("no", fg="red")
