"""What FILE on the command line means: a path, the name of a file in `environments/`, or a spec in the ledger."""

from dataclasses import dataclass
from pathlib import Path

import click


@dataclass(frozen=True)
class Source:
    """A spec's text with the file's name, or, without text, the name of an environment that the ledger knows."""

    name: str
    text: str | None


def read_source(file: str) -> Source:
    """The file at a path, or `environments/NAME.yaml` of the checkout for a bare name."""
    from blocks.settings import CHECKOUT

    path = Path(file)
    if path.is_file():
        return _read(path, str(path))
    if path.name != file or path.suffix in (".yaml", ".yml"):
        raise click.UsageError(f"There is no file {file}.")
    declared = CHECKOUT / "environments" / f"{file}.yaml"
    return _read(declared, f"environments/{file}.yaml") if declared.is_file() else Source(name=file, text=None)


def _read(path: Path, name: str) -> Source:
    try:
        return Source(name=name, text=path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{name} cannot be read: {error}") from error
