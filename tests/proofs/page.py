"""The page of a proof: what was shown, when, of which commit, on which machine. Only a proof that passed writes one."""

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime

import psutil

from blocks.settings import CHECKOUT

PAGES = CHECKOUT / "docs" / "proofs"


class Page:
    """A table that grows while a proof runs."""

    def __init__(self, pipeline: str, about: str) -> None:
        self._pipeline, self._about = pipeline, about
        self._began_at = datetime.now(UTC)
        self._rows: list[tuple[str, str]] = []

    def add(self, claim: str, shown: str) -> None:
        """A claim that held, and what it held on."""
        self._rows.append((claim, shown))

    def has(self, claims: Iterable[str]) -> bool:
        """All of them were added."""
        return {claim for claim, _ in self._rows}.issuperset(claims)

    def write(self) -> None:
        """Replace docs/proofs/PIPELINE.md."""
        minutes = (datetime.now(UTC) - self._began_at).total_seconds() / 60
        rows = [f"| {claim} | {shown.replace('|', chr(92) + '|')} |" for claim, shown in self._rows]
        lines = [
            f"# Proof: {self._pipeline}",
            "",
            self._about,
            "",
            f"- `make prove PIPELINE={self._pipeline}`, {self._began_at:%Y-%m-%d %H:%M} UTC, {minutes:.0f} minutes",
            f"- commit {_read_commit()}",
            f"- {_describe_machine()}",
            "",
            "| claim | shown |",
            "|---|---|",
            *rows,
            "",
        ]
        PAGES.mkdir(exist_ok=True)
        (PAGES / f"{self._pipeline}.md").write_text("\n".join(lines))


def _read_commit() -> str:
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/proofs")
    return _git("rev-parse", "--short", "HEAD") + (" with changes that are not committed" if changed else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=CHECKOUT, text=True, capture_output=True, check=True)
    return done.stdout.strip()


def _describe_machine() -> str:
    memory_gib = psutil.virtual_memory().total / 2**30
    busy = os.getloadavg()[2]
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, "
        f"Python {platform.python_version()}; load over the last 15 minutes {busy:.1f}"
    )
