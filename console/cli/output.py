"""What a command prints and with which code it ends. An answer goes to stdout, everything else to stderr."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click

#: A run's status as an exit code; `queued` and `running` are no failure where nobody asked to wait.
EXIT_CODES = {
    "succeeded": 0,
    "queued": 0,
    "running": 0,
    "failed": 1,
    "crashed": 1,
    "cancelled": 1,
    "refused": 2,
    "waiting": 4,
}
#: Attributes told of one resource in a table: a policy document may have hundreds.
SHOWN_DIFFERENCES = 12
#: An error's kind as an exit code; the others are 1.
ERROR_CODES = {"broken_spec": 2, "refused": 2, "forbidden": 2, "bad_request": 64}


class CommandError(Exception):
    """A command that ends without its answer; `kind` as in the API's errors, `body` the API's own JSON if any."""

    def __init__(self, kind: str, summary: str, resolution: str, body: dict[str, Any] | None = None) -> None:
        super().__init__(summary)
        self.kind, self.summary, self.resolution = kind, summary, resolution
        self.body = body or {
            "error": {"kind": kind, "summary": summary, "resolution": resolution, "faults": []},
            "run": None,
        }


def print_failure(failure: CommandError, as_json: bool) -> int:
    """Tell what went wrong and the way out; the exit code. A refused run is printed as a run."""
    if as_json:
        print_json(failure.body.get("run") or failure.body)
        return ERROR_CODES.get(failure.kind, 1)
    for fault in failure.body["error"]["faults"]:
        click.echo(_format_fault(fault), err=True)
    click.echo(f"{click.style(failure.kind.replace('_', ' '), fg='red', bold=True)}: {failure.summary}", err=True)
    click.echo(failure.resolution, err=True)
    return ERROR_CODES.get(failure.kind, 1)


def _format_fault(fault: dict[str, Any]) -> str:
    hint = f" Did you mean {fault['suggestion']}?" if fault["suggestion"] else ""
    return f"{fault['file']}:{fault['line']}: {fault['key']}: found {fault['found']}, allowed {fault['allowed']}.{hint}"


def print_json(answer: dict[str, Any]) -> None:
    """The one JSON object of a command."""
    click.echo(json.dumps(answer, indent=2))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, to_stderr: bool = False) -> None:
    """Columns as wide as their widest cell, so that a pipe and a terminal read the same."""
    cells = [list(headings), *([_format_cell(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for index, row in enumerate(cells):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.echo(click.style(line, bold=True) if index == 0 else line, err=to_stderr)


def _format_cell(cell: Any) -> str:
    if cell is None or cell == "":
        return "-"
    return cell if isinstance(cell, str) else json.dumps(cell)


def print_run(run: dict[str, Any]) -> None:
    """How a run ended, for a person."""
    colour = {"succeeded": "green", "queued": None, "running": None}.get(run["status"], "red")
    click.echo(f"{run['operation']} {run['environment']}: {click.style(run['status'], fg=colour, bold=True)}")
    if run["changes"]:
        click.echo(f"  {format_counts(run['changes'])}")
    for key in ("error", "resolution"):
        if run[key]:
            click.echo(f"  {run[key]}")
    click.echo(f"  run {run['run_id']}" + (f"  {run['run_url']}" if run["run_url"] else ""))


def format_counts(counts: dict[str, int]) -> str:
    """`3 to add, 1 to change, 0 to destroy`, or that there is nothing to do."""
    if not any(counts.values()):
        return "No changes."
    return f"{counts['add']} to add, {counts['change']} to change, {counts['destroy']} to destroy."


def print_changes(run: dict[str, Any]) -> None:
    """What a plan would do, on stderr: the answer on stdout stays alone."""
    if run["planned"]:
        rows = [(change["action"], change["address"], _format_reason(change)) for change in run["planned"]]
        print_table(("action", "resource", "reason"), rows, to_stderr=True)
    click.echo(format_counts(run["changes"] or {"add": 0, "change": 0, "destroy": 0}), err=True)
    if run["plan_id"]:
        click.echo(f"Plan {run['plan_id']}, kept for 24 hours.", err=True)


def _format_reason(change: dict[str, Any]) -> str:
    """Terraform's own reason, and the attributes that differ; what forces a replacement comes first."""
    shown = change["differences"][:SHOWN_DIFFERENCES]
    told = [
        f"{one['key']}: {one['before']} → {one['after']}" + (" (forces replacement)" * one["forces_replacement"])
        for one in shown
    ]
    if more := len(change["differences"]) - len(shown):
        told.append(f"{more} more attributes, see --json")
    return "; ".join([*([change["reason"].replace("_", " ")] if change["reason"] else []), *told])


def format_seconds(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `1 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
