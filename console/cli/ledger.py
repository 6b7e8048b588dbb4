"""The check of the ledger itself, without the API: its database, and the vault where that answers."""

import json
import os
from collections.abc import Sequence

from blocks.ledger import open_ledger
from blocks.ledger.rows import VaultObjectRow
from blocks.settings import Settings, read_settings
from blocks.supervisor import Stack
from console.cli.local import find_stack
from console.cli.output import CommandError
from domain.errors import TemporaryError, TerrariumError
from domain.evidence import ANCHOR, Anchor, Verdict, find_missing


def judge_ledger(kept: Sequence[Anchor]) -> Verdict:
    """The verdict over the ledger of this checkout, or of TERRARIUM_LEDGER_URL, with anchors that a person kept."""
    settings = read_settings()
    try:
        with open_ledger(_find_url(settings)) as ledger:
            recorded = [row for row in ledger.list_vault_objects() if row.kind == ANCHOR and row.lost_at is None]
            found, missing, unchecked = _ask_vault(settings, recorded)
            return ledger.judge([*kept, *found], missing=missing, unchecked=unchecked)
    except TerrariumError as error:
        kind = "unavailable" if isinstance(error, TemporaryError) else "failed"
        raise CommandError(kind, error.summary, error.resolution) from error


def _find_url(settings: Settings) -> str:
    """The URL of the settings, else the one of the private PostgreSQL with the password of the state folder."""
    if named := settings.ledger_url.get_secret_value():
        return named
    stack = find_stack()
    if stack is None:
        raise CommandError("unavailable", "There is no ledger here.", "Run `make up`, or set TERRARIUM_LEDGER_URL.")
    password = _read_credentials(stack)["ledger_app"]
    return f"postgresql://terrarium_app:{password}@{stack.host}:{stack.ports['postgres']}/terrarium"


def _read_credentials(stack: Stack) -> dict[str, str]:
    try:
        return dict(json.loads((stack.state_dir / "credentials.json").read_text()))
    except OSError as error:
        raise CommandError(
            "unauthorized",
            f"The credentials in {stack.state_dir} are not yours to read.",
            "Work as the user who ran `make up`.",
        ) from error


def _ask_vault(settings: Settings, recorded: Sequence[VaultObjectRow]) -> tuple[list[Anchor], tuple[str, ...], str]:
    """Anchors that the vault has, those that it should have and has not, and why it was not asked, if so."""
    stack = find_stack()
    url = f"{stack.prefect_url}/api" if stack else settings.prefect_api_url
    auth = ("terrarium", _read_credentials(stack)["prefect_password"]) if stack and stack.prefect_has_password else None
    os.environ.setdefault("PREFECT_HOME", str(settings.state_dir / "prefect"))  # an account is one of Prefect's blocks
    from blocks.prefect_api import PrefectApi
    from blocks.vault import find_account, list_anchors

    try:
        account = find_account(PrefectApi(url, auth, patience_seconds=1), settings.vault_account)
        found = list_anchors(account, settings.ledger_name)
    except TerrariumError as error:
        return [], (), f"The vault of {settings.vault_account}: {error.summary} {error.resolution}"
    wanted = [row.location for row in recorded if row.account == settings.vault_account]
    return found, find_missing(wanted, (anchor.location for anchor in found)), ""
