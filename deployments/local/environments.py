"""What comes after the servers: accounts, what the emulator forgot, and the first environment.

Everything goes the way that a person's command goes: through the API, by the real flow.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from blocks.ledger import open_ledger
from blocks.settings import CHECKOUT, Settings
from deployments.local.accounts import load_known, prepare_accounts
from deployments.local.memory import mark_forgotten, mark_forgotten_objects
from domain.errors import PermanentError
from domain.status import EnvironmentStatus

FIRST = "dev"
TERRARIUM = Path(sys.executable).with_name("terrarium")

Report = Callable[[str], None]


def make_environments(settings: Settings, report: Report) -> None:
    """Bootstrap the accounts, make again what the emulator forgot, and see to it that `dev` is ready.

    Only what an emulator forgot is ever marked as lost, so nothing of a real account is made again by itself.
    """
    prepare_accounts(settings, report)
    with open_ledger(os.environ["TERRARIUM_LEDGER_URL"]) as ledger:
        mark_forgotten(ledger, load_known)
        if lost := mark_forgotten_objects(ledger, load_known):
            report(f"The emulator's vault forgot {len(lost)} anchors and backups: the ledger has them as lost.")
        known = {row.name: row for row in ledger.list_environments()}
    for name in sorted(row.name for row in known.values() if row.status == EnvironmentStatus.LOST):
        if name != FIRST:
            report(f"The emulator forgot {name}: it is being made again, `terrarium env list` shows when it is ready.")
            _apply(name, "--no-wait")
    if FIRST in known and known[FIRST].status == EnvironmentStatus.READY:
        report(f"{FIRST} is ready.")
    else:
        report(f"Making {FIRST}, as environments/{FIRST}.yaml says:")
        _apply(FIRST)


def _apply(name: str, *options: str) -> None:
    """Have an environment made by the command that a person would type; its progress goes to the same terminal."""
    ended = subprocess.run([TERRARIUM, "env", "apply", name, "--yes", *options], cwd=CHECKOUT, check=False)
    if ended.returncode:
        raise PermanentError(
            f"{name} was not made: `terrarium env apply {name}` ended with {ended.returncode}.",
            "The lines above say why; the servers are up. Mend it and run `make up` again.",
        )
