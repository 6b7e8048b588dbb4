"""What PostgreSQL's programs say of a restore, read as faults.

Three complaints are of the source's server and not of its data, and are no fault: a role that is not there (a plain
dump names owners, any dump the roles of its policies), a setting that only a newer server knows, and a comment on an
extension that every server has.
"""

import re
from dataclasses import dataclass, replace

from domain.backup import Answer, answer

NO_FAULT = re.compile(
    r"ERROR:\s+(\w{5}: )?(role \"[^\"]*\" does not exist|unrecognized configuration parameter \"\w+\""
    r"|must be owner of extension plpgsql)$"
)
#: What pg_dump writes around a plain dump since 2025, and an older psql does not know.
NO_COMMAND = re.compile(r"invalid command \\(un)?restrict\b")
IGNORED = re.compile(r"warning: errors ignored on restore: (\d+)")
COMPLAINT = re.compile(r"(\b(error|ERROR|FATAL|PANIC):|invalid command|connection to server|warning: errors ignored)")
#: How pg_dump begins and ends what it writes as text.
PLAIN_HEADS = ("-- PostgreSQL database dump\n", "-- PostgreSQL database cluster dump\n")
PLAIN_ENDS = ("-- PostgreSQL database dump complete", "-- PostgreSQL database cluster dump complete")
NEWER = re.compile(r"unsupported version \((\S+)\) in file header")


@dataclass(frozen=True)
class EngineWords:
    """A program, its exit code and the faults that it told; `unasked` where it cannot read what a newer one wrote."""

    program: str
    returncode: int
    faults: tuple[str, ...]
    unasked: str = ""

    def and_then(self, later: "EngineWords") -> "EngineWords":
        """What two programs said, one after the other."""
        program = f"{self.program}, {later.program}"
        return EngineWords(program, self.returncode or later.returncode, self.faults + later.faults, self.unasked)

    def with_end(self, head: str, tail: str, size_bytes: int) -> "EngineWords":
        """A plain dump that breaks off between two statements makes psql complain of nothing."""
        if not size_bytes:
            return replace(self, faults=(*self.faults, "the file is empty"))
        begins = any(mark in head for mark in PLAIN_HEADS)
        if begins and not any(mark in tail for mark in PLAIN_ENDS):
            return replace(self, faults=(*self.faults, "the dump breaks off: its last line is not there"))
        return self


def read_engine_words(program: str, returncode: int, told: str) -> EngineWords:
    """The complaints among the lines that a program wrote; where it failed without one, its last line.

    pg_restore tells each error and then a count, in parallel a wrong one. Where all that it told was no fault, its
    count and its exit code of 1 are none either.
    """
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    faults = tuple(line for line in lines if _is_fault(line))
    is_ignored = any(NO_FAULT.search(line) for line in lines) and all(IGNORED.search(line) for line in faults)
    if is_ignored and returncode in (0, 1):
        return EngineWords(program, returncode, ())
    if returncode and not faults:
        faults = (lines[-1] if lines else f"{program} ended with code {returncode}",)
    newer = next((found[1] for line in lines if (found := NEWER.search(line))), None)
    unasked = f"the archive has format {newer}, which this {program} is too old for" if newer else ""
    return EngineWords(program, returncode, () if unasked else faults, unasked)


def _is_fault(line: str) -> bool:
    return bool(COMPLAINT.search(line)) and not (NO_FAULT.search(line) or NO_COMMAND.search(line))


def judge_engine(words: EngineWords, tables: int, seconds: float) -> Answer:
    """Does the engine think so: a restore without a complaint, and sound tables and indexes after it."""
    figures = {"asked": words.program, "seconds": round(seconds, 3), "tables": tables}
    if words.unasked:
        return Answer(passed=None, figures=figures, unasked=words.unasked)
    nothing = [] if tables or words.faults else ["nothing was restored: there is no table"]
    return answer(figures, [*words.faults, *nothing])
