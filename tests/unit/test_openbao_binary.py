"""Which OpenBao is taken: the named one, one on PATH, the one that was built, or none."""

from pathlib import Path

import pytest

from blocks.openbao_binary import built_path, find_openbao
from domain.errors import PermanentError


def write_program(path: Path, version: str) -> Path:
    """A program that tells this version of itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'OpenBao {version} (abc), built 2025-08-28'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("version", "is_taken"), [("v2.3.2", False), ("v2.4.0", True), ("v3.0.1", True), ("v2.0.0-HEAD", True)]
)
def test_path_is_asked_for_one_that_unseals_itself(
    version: str, is_taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2.4 brought that; a build from source tells no release."""
    program = write_program(tmp_path / "bin" / "bao", version)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    assert find_openbao(None, tmp_path / "cache") == (program if is_taken else None)


def test_the_built_one_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one on PATH, and never looked for on the network."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_openbao(None, tmp_path) is None
    built = write_program(built_path(tmp_path), "v2.0.0-HEAD")
    assert find_openbao(None, tmp_path) == built


def test_a_named_one_has_to_serve(tmp_path: Path) -> None:
    """Whoever names one hears that it is none, and does not get another."""
    with pytest.raises(PermanentError, match="does not run, or is older than"):
        find_openbao(tmp_path / "missing", tmp_path)
    program = write_program(tmp_path / "bao", "v2.4.1")
    assert find_openbao(program, tmp_path) == program
