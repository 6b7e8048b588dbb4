"""The process settings: their defaults, their folders and their page."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from blocks.settings import CHECKOUT, Settings

PAGE = CHECKOUT / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"TERRARIUM_{name.upper()}", raising=False)


def read_sections() -> dict[str, str]:
    """The page's text by heading."""
    parts = re.split(r"^## `(\w+)`$", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def show_default(value: object) -> str:
    """A default as the page shows it."""
    plain = value.get_secret_value() if isinstance(value, SecretStr) else value
    if plain is None:
        return "unset"
    return f"`{str(plain).lower() if isinstance(plain, bool) else plain}`" if plain != "" else "empty"


def test_the_page_has_a_heading_for_each_setting_and_no_other() -> None:
    """A setting that nobody can read about does not exist."""
    assert list(read_sections()) == list(Settings.model_fields)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_page_tells_variable_default_and_reason(name: str) -> None:
    """The page repeats what the code says, word for word."""
    field = Settings.model_fields[name]
    first_line = f"`TERRARIUM_{name.upper()}`, default {show_default(field.default)}."
    assert read_sections()[name].split() == f"{first_line} {field.description}".split()


def test_a_relative_state_folder_starts_at_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands given in any folder speak of the same stack."""
    monkeypatch.chdir(tmp_path)
    assert Settings().state_dir == CHECKOUT / ".terrarium"
    monkeypatch.setenv("TERRARIUM_STATE_DIR", "other")
    assert Settings().state_dir == CHECKOUT / "other"


def test_a_bad_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong setting stops the process with the setting's name."""
    monkeypatch.setenv("TERRARIUM_PREFECT_PORT", "70000")
    with pytest.raises(ValidationError, match="prefect_port"):
        Settings()


def test_the_ledgers_url_is_not_shown() -> None:
    """The URL holds a password."""
    assert "hunter2" not in repr(Settings(ledger_url=SecretStr("postgresql://a:hunter2@localhost/b")))
