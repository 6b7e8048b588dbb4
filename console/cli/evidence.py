"""`terrarium evidence`: anchor the chain, export it, and check it. The check works without the API."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.cli.client import connect
from console.cli.options import json_option, read_waiting, waiting_options
from console.cli.output import CommandError, print_json
from console.cli.wait import finish

if TYPE_CHECKING:
    from console.contract_evidence import EvidenceVerdict
    from domain.evidence import Anchor, Verdict

EXIT_BROKEN = 1


@click.group()
def evidence() -> None:
    """Evidence: anchor, export, verify the chain of records."""


@evidence.command(epilog="Example: terrarium evidence anchor")
@json_option
@waiting_options
def anchor(as_json: bool, timeout: float | None, no_wait: bool) -> int:
    """Write the newest record's number and hash into the vault, as is done every hour."""
    waiting, api = read_waiting(timeout, no_wait), connect()
    return finish(api, api.post("/api/evidence/anchor"), waiting, as_json)


@evidence.command(epilog="Example: terrarium evidence export evidence.jsonl")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
def export(file: Path, as_json: bool) -> int:
    """Write all events, records and known anchors to FILE, and check it."""
    from console.contract_evidence import Exported

    _write(file, connect().stream("/api/evidence/export"))
    verdict = _show(_judge_file(file, ()), str(file))
    if as_json:
        print_json(Exported(file=str(file), verdict=verdict).to_json())
    else:
        click.echo(f"{verdict.events} events are in {file}.")
        _print_verdict(verdict)
    return 0 if verdict.is_whole else EXIT_BROKEN


@evidence.command(epilog="Example: terrarium evidence verify evidence.jsonl")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--anchor", "anchors", multiple=True, metavar="SEQ:HASH", help="An anchor that you kept yourself.")
@json_option
def verify(file: Path | None, anchors: tuple[str, ...], as_json: bool) -> int:
    """Check that no record was altered, removed, reordered or added. Code 1, and its name, where one was.

    Without FILE the ledger's database is read, and the vault where it can be; the API is not needed. With FILE, an
    export is checked, on any machine.
    """
    kept = [_read_kept(text) for text in anchors]
    if file is None:
        from console.cli.ledger import judge_ledger

        verdict = _show(judge_ledger(kept), "the ledger's database")
    else:
        verdict = _show(_judge_file(file, kept), str(file))
    print_json(verdict.to_json()) if as_json else _print_verdict(verdict)
    return 0 if verdict.is_whole else EXIT_BROKEN


def _write(file: Path, parts: Iterator[bytes]) -> None:
    """A file that only its user can read, whole or not at all."""
    new = file.with_name(f"{file.name}.new")
    try:
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
            for part in parts:
                target.write(part)
        new.replace(file)
    except OSError as error:
        raise click.UsageError(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        new.unlink(missing_ok=True)


def _read_kept(text: str) -> "Anchor":
    from domain.evidence import Anchor

    seq, _, sha256 = text.partition(":")
    if not seq.isdigit() or len(sha256) != 64:
        raise click.UsageError(f"--anchor {text} is not SEQ:HASH, a number and 64 hexadecimal digits.")
    return Anchor(seq=int(seq), hash=sha256.lower(), location="--anchor")


def _judge_file(file: Path, anchors: "tuple[Anchor, ...] | list[Anchor]") -> "Verdict":
    from domain.errors import TerrariumError
    from domain.evidence import judge_export

    try:
        return judge_export(_read_lines(file), anchors)
    except (TerrariumError, UnicodeDecodeError) as error:
        way = error.resolution if isinstance(error, TerrariumError) else "Give the file of an export."
        summary = error.summary if isinstance(error, TerrariumError) else f"{file} is not text."
        raise CommandError("failed", summary, way) from error


def _read_lines(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8") as lines:
        yield from lines


def _show(verdict: "Verdict", source: str) -> "EvidenceVerdict":
    from console.contract_evidence import Break, EvidenceVerdict

    return EvidenceVerdict(
        is_whole=verdict.is_whole,
        source=source,
        events=verdict.events,
        head_hash=verdict.head_hash,
        anchors=verdict.anchors,
        break_=Break(**verdict.found.model_dump()) if verdict.found else None,
        missing=verdict.missing,
        unchecked=verdict.unchecked,
    )


def _print_verdict(verdict: "EvidenceVerdict") -> None:
    if verdict.break_:
        name = f"Record {verdict.break_.seq}" + (f" ({verdict.break_.kind})" if verdict.break_.kind else "")
        word = click.style(verdict.break_.fault, fg="red", bold=True)
        click.echo(f"{name} was {word}: {verdict.break_.detail}.")
    for location in verdict.missing:
        click.echo(f"The anchor {location} {click.style('is gone', fg='red', bold=True)} and is not marked as lost.")
    if verdict.is_whole:
        click.echo(
            f"{click.style('whole', fg='green', bold=True)}: {verdict.events} events, {verdict.anchors} anchors."
        )
    else:
        click.echo("docs/runbooks/evidence.md says what to do.", err=True)
    if verdict.unchecked:
        click.echo(f"The vault was not asked: {verdict.unchecked} A tail that was cut off is then not seen.", err=True)
