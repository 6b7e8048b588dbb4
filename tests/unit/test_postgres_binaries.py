"""Where PostgreSQL's server programs are looked for."""

import importlib.util
from pathlib import Path

import pytest

from blocks import postgres_binaries
from blocks.postgres_binaries import NEEDED, find_postgres_binaries
from domain.errors import PermanentError


def _make_programs(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in NEEDED:
        (folder / name).touch(mode=0o755)
    return folder


def _search_only(monkeypatch: pytest.MonkeyPatch, path: Path, patterns: tuple[str, ...] = ()) -> None:
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setattr(postgres_binaries, "SYSTEM_FOLDERS", patterns)


def test_configured_folder_comes_first(tmp_path: Path) -> None:
    """A folder that is named is taken, whatever else there is."""
    folder = _make_programs(tmp_path / "own")
    assert find_postgres_binaries(folder) == folder


def test_configured_folder_without_programs_is_refused(tmp_path: Path) -> None:
    """A folder that lacks programs is an error that names them and the setting."""
    with pytest.raises(PermanentError, match=r"initdb.*TERRARIUM_POSTGRES_BIN_DIR"):
        find_postgres_binaries(tmp_path)


def test_path_comes_before_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs on PATH are found in the folder that their links point to."""
    real = _make_programs(tmp_path / "real")
    links = tmp_path / "links"
    links.mkdir()
    (links / "postgres").symlink_to(real / "postgres")
    _search_only(monkeypatch, links)
    assert find_postgres_binaries() == real


def test_newest_of_the_system_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the system's versions the newest is taken, and none that is too old."""
    for version in ("9", "15", "16"):
        _make_programs(tmp_path / "lib" / version / "bin")
    monkeypatch.chdir(tmp_path)  # relative patterns: no digits of the temporary folder's own name
    _search_only(monkeypatch, tmp_path / "none", ("lib/*/bin",))
    assert find_postgres_binaries() == Path("lib/16/bin")


def test_wheel_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a system's PostgreSQL the wheel's programs are found, with every program that is needed."""
    if importlib.util.find_spec(postgres_binaries.WHEEL) is None:
        pytest.skip("needs `uv sync --group postgres`")
    _search_only(monkeypatch, tmp_path)
    found = find_postgres_binaries()
    assert postgres_binaries.WHEEL in str(found)
    assert all((found / name).exists() for name in NEEDED)
