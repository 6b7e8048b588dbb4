"""The cells that were run, kept for one commit: a matrix that was interrupted goes on where it was."""

import json
import subprocess
from pathlib import Path

from blocks.settings import CHECKOUT, read_settings


class Cells:
    """What each cell of this commit showed, in a file of the checkout's state folder; another commit begins anew."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or read_settings().state_dir / "proofs" / "crash.json"
        self._commit = _read_commit()
        known = json.loads(self._path.read_text()) if self._path.exists() else {}
        self.shown: dict[str, str] = known.get("cells", {}) if known.get("commit") == self._commit else {}

    def add(self, cell: str, shown: str) -> None:
        """Keep what a cell showed."""
        self.shown[cell] = shown
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps({"commit": self._commit, "cells": self.shown}, indent=1))


def _read_commit() -> str:
    """The commit, marked where the tree differs from it: such cells are never taken for those of the commit."""
    head = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(head, cwd=CHECKOUT, text=True, capture_output=True, check=True).stdout.strip()
    changed = ["git", "status", "--porcelain", "--untracked-files=no"]
    tree = subprocess.run(changed, cwd=CHECKOUT, text=True, capture_output=True, check=True).stdout
    others = [line for line in tree.splitlines() if not line.endswith("docs/proofs/crash.md")]
    return f"{commit} and changes" if others else commit
