"""Bringing a dump into a scratch server, by a role without rights, and asking the engine whether it is content."""

import subprocess
from collections.abc import Sequence

from blocks.dump_file import Format, ReceivedDump
from blocks.scratch.server import DATABASE, PORT, ROLE, ScratchServer
from domain.restore import EngineWords, read_engine_words

#: A restore that takes longer than this is no way back either.
TIMEOUT_SECONDS = 6 * 3600
JOBS = "2"
PLACE = ("--host=/scratch/socket", f"--port={PORT}", f"--username={ROLE}", "--no-password")
#: What belongs to the source's server and not to its data.
LEFT_OUT = (
    *("--no-owner", "--no-privileges", "--no-tablespaces", "--no-security-labels"),
    *("--no-publications", "--no-subscriptions"),
)
ARCHIVE = "/dump/backup"
#: The tar format is read from its beginning to its end.
IN_PARALLEL: tuple[Format, ...] = ("custom", "directory")


def restore_dump(server: ScratchServer, dump: ReceivedDump) -> EngineWords:
    """Restore everything that can be restored: one fault does not keep the rest from being looked at."""
    if dump.format == "plain":
        head, tail = _read_ends(dump)
        return _run(server, "psql", _plain_arguments()).with_end(head, tail, dump.size_bytes)
    jobs = [f"--jobs={JOBS}"] if dump.format in IN_PARALLEL else []
    kind = {"custom": "c", "tar": "t", "directory": "d"}[dump.format]
    return _run(server, "pg_restore", [*jobs, *LEFT_OUT, f"--format={kind}", f"--dbname={DATABASE}", ARCHIVE])


def _plain_arguments() -> list[str]:
    return [
        *("--no-psqlrc", "--quiet", "--output=/dev/null", "--set=VERBOSITY=verbose", "--set=SHOW_CONTEXT=never"),
        *(f"--dbname={DATABASE}", f"--file={ARCHIVE}"),
    ]


def check_pages(server: ScratchServer) -> EngineWords:
    """What `pg_amcheck` says of every table and index."""
    return _run(server, "pg_amcheck", [f"--jobs={JOBS}", server.database])


def _run(server: ScratchServer, program: str, arguments: Sequence[str]) -> EngineWords:
    try:
        done = server.jail.run_client(program, *PLACE, *arguments, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return EngineWords(program, 1, (f"it was not done after {TIMEOUT_SECONDS} seconds",))
    return read_engine_words(program, done.returncode, f"{done.stderr}\n{done.stdout}")


def _read_ends(dump: ReceivedDump) -> tuple[str, str]:
    """The first and the last bytes of a plain dump."""
    with dump.path.open("rb") as file:
        head = file.read(4096)
        file.seek(max(0, dump.size_bytes - 4096))
        return head.decode(errors="replace"), file.read().decode(errors="replace")
