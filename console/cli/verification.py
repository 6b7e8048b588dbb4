"""The check of a dump that lies on this machine: here, not by the API, for a file is checked where it is."""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from blocks.postgres_binaries import find_postgres_binaries
from blocks.scratch.folder import lend_folder
from blocks.scratch.verification import Wanted, verify_dump
from blocks.settings import read_settings
from console.cli.output import CommandError
from domain.backup import BackupVerdict, Manifest, read_manifest
from domain.errors import PermanentError, RefusedError, TerrariumError
from domain.expectations import read_suites


def verify_file(
    file: Path, expectations: Path, manifest: Path | None, invariants: Path | None
) -> tuple[BackupVerdict, tuple[str, ...]]:
    """The verdict over a dump, and the keys of the manifest that were not looked at."""
    settings = read_settings()
    try:
        promised, ignored = read_manifest(_read(manifest), manifest.name) if manifest else (Manifest(), ())
        wanted = Wanted(
            manifest=promised,
            suites=read_suites(_read(expectations), expectations.name),
            invariants=_read_invariants(invariants) if invariants else {},
            parameters={"now": datetime.now(UTC).isoformat()},
        )
        programs = find_postgres_binaries(settings.postgres_bin_dir)
        with lend_folder(settings.state_dir / "scratch") as folder:
            return verify_dump(file, wanted, folder, programs), ignored
    except TerrariumError as error:
        kind = "refused" if isinstance(error, RefusedError) else "failed"
        raise CommandError(kind, error.summary, error.resolution) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PermanentError(f"{path} cannot be read as text: {error}.", "Give a JSON file.") from error


def _read_invariants(path: Path) -> dict[str, str]:
    try:
        return TypeAdapter(dict[str, str]).validate_json(_read(path))
    except ValidationError as error:
        raise PermanentError(
            f"The invariants {path} are no JSON object of names and queries.",
            'Give {"no orphans": "SELECT …"}: each query returns the rows that break its rule.',
        ) from error
