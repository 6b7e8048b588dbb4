"""The cells of a proof that were run, kept for one commit: a proof that was interrupted goes on where it was."""

import json
import subprocess
from collections.abc import Callable

from blocks.settings import CHECKOUT, read_settings


class Cells:
    """What each cell of this commit showed, in a file of the checkout's state folder; another commit begins anew."""

    def __init__(self, pipeline: str) -> None:
        self._path = read_settings().state_dir / "proofs" / f"{pipeline}.json"
        self._commit = _read_commit()
        known = json.loads(self._path.read_text()) if self._path.exists() else {}
        self.shown: dict[str, str] = known.get("cells", {}) if known.get("commit") == self._commit else {}
        self.kept = len(self.shown)

    def show(self, cell: str, check: Callable[[], str]) -> None:
        """Run a cell that was not shown of this commit, and keep what it showed."""
        if cell not in self.shown:
            self.shown[cell] = check()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps({"commit": self._commit, "cells": self.shown}, indent=1))

    def tell_kept(self) -> str:
        """A sentence for the page about what earlier runs had shown; empty where one run showed everything."""
        return f" {self.kept} of the rows were shown by earlier runs of this commit." if self.kept else ""


def _read_commit() -> str:
    """The commit, marked where the tree differs from it: such cells are never taken for those of the commit."""
    head = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(head, cwd=CHECKOUT, text=True, capture_output=True, check=True).stdout.strip()
    changed = ["git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/proofs"]
    tree = subprocess.run(changed, cwd=CHECKOUT, text=True, capture_output=True, check=True).stdout
    return f"{commit} and changes" if tree.strip() else commit
