"""Where the API of this checkout answers, and the token for it: what `make up` wrote down, or the one that is named."""

import json
from dataclasses import dataclass
from pathlib import Path

from blocks.settings import read_settings
from console.cli.output import CommandError

WAY = "Run `make up` in the checkout."


@dataclass(frozen=True)
class Place:
    """Address and token of the API."""

    api_url: str
    token: str


def read_place() -> Place:
    """The running stack's API; CommandError where no stack was started from here, or its token is another user's."""
    state_dir, named = read_settings().state_dir, read_settings().token_file
    if named is not None:
        return Place(api_url=_read_api_url(), token=_read_named(named))
    try:
        token = (state_dir / "token").read_text().strip()
    except FileNotFoundError as error:
        raise CommandError(
            "unavailable", f"No stack was started from this checkout: {state_dir} has no token.", WAY
        ) from error
    except PermissionError as error:
        raise CommandError(
            "unauthorized",
            f"The token in {state_dir} is not yours to read.",
            "Work as the user who ran `make up`, or run your own from another clone.",
        ) from error
    return Place(api_url=_read_api_url(), token=token)


def _read_named(token_file: Path) -> str:
    try:
        return token_file.read_text().strip()
    except OSError as error:
        raise CommandError(
            "unauthorized", f"The token in {token_file} cannot be read.", "Correct or unset TERRARIUM_TOKEN_FILE."
        ) from error


def _read_api_url() -> str:
    """What the running stack says, so that a shell with other settings finds it too; else what the settings say."""
    settings = read_settings()
    try:
        return str(json.loads((settings.state_dir / "stack.json").read_text())["api_url"])
    except (OSError, ValueError, KeyError):
        return settings.api_url
