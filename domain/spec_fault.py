"""What is wrong with a specification file: where, what was found, what is allowed, and the nearest right word."""

import difflib
from collections.abc import Collection, Sequence
from typing import NamedTuple, Self

from domain.errors import PermanentError

Key = tuple[str | int, ...]


class Place(NamedTuple):
    """A place in a file, counted from 1, and the text of the value as it was written (empty for what is no scalar)."""

    file: str
    line: int
    column: int
    text: str = ""


class SpecFault(NamedTuple):
    """One fault. `key` is the path as people write it, such as `services.web.replicas`; `suggestion` may be empty."""

    file: str
    line: int
    column: int
    key: str
    found: str
    allowed: str
    suggestion: str = ""

    @classmethod
    def at(cls, place: Place, key: Key, found: str, allowed: str, suggestion: str = "") -> Self:
        """The fault of a key at a place."""
        return cls(place.file, place.line, place.column, write_key(key), found, allowed, suggestion)

    def __str__(self) -> str:
        """One line: file:line: key: found X, allowed Y. Did you mean Z?"""
        key = f"{self.key}: " if self.key else ""
        hint = f" Did you mean {self.suggestion}?" if self.suggestion else ""
        return f"{self.file}:{self.line}: {key}found {self.found}, allowed {self.allowed}.{hint}"


class SpecError(PermanentError):
    """A specification with faults, all of them, in the order of file and line."""

    def __init__(self, file: str, faults: Sequence[SpecFault]) -> None:
        self.faults = tuple(faults)
        count = "one fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__(f"{file} has {count}.", "Correct what the lines name and try again.")

    def __str__(self) -> str:
        """One line a fault."""
        return "\n".join(str(fault) for fault in self.faults)


def write_key(key: Key) -> str:
    """A key path as text: ("services", "web", "depends_on", 0) is `services.web.depends_on[0]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).removeprefix(".")


def nearest_word(word: str, words: Collection[object]) -> str:
    """The word most like `word` whatever its case and hyphens; empty where none is near."""
    plain = {str(candidate).lower().replace("-", "_"): str(candidate) for candidate in words}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), plain, n=1, cutoff=0.6)
    return plain[near[0]] if near else ""
