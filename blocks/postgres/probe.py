"""A client outside: a process of its own that writes numbered rows through the environment's name, and logs each.

`python -m blocks.postgres.probe LOG RUN_ID PAUSE_SECONDS`; libpq's own variables (PGHOST, PGPASSFILE, …) say where to.
It ends when its standard input does, so it never outlives the run that started it. A number is sent once: after a
broken connection the next one is sent, and what became of the last one is in doubt.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from blocks.settings import CHECKOUT
from domain.errors import PermanentError
from domain.probe_log import ACKNOWLEDGED, SENT, ProbeLog, read_probe_log

TABLE = "probe.written"
CREATE = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    run_id text NOT NULL,
    number bigint NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, number)
)"""
INSERT = f"INSERT INTO {TABLE} (run_id, number) VALUES (%s, %s)"  # noqa: S608 - a constant
#: Between two tries to connect while nobody answers.
RECONNECT_SECONDS = 0.005
START_SECONDS, STOP_SECONDS, POLL_SECONDS = 20.0, 10.0, 0.005
#: Epoch seconds that never go back: this machine's monotonic clock, set to the time of day once.
EPOCH = time.time() - time.monotonic()


def read_time() -> float:
    """Now, in epoch seconds that never go back."""
    return EPOCH + time.monotonic()


class Probe:
    """The probe of a run, from its first acknowledged row to its end."""

    def __init__(self, log: Path, run_id: str, pause_seconds: float, environment: Mapping[str, str]) -> None:
        self.log = log
        command = [sys.executable, "-m", "blocks.postgres.probe", str(log), run_id, str(pause_seconds)]
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch(mode=0o600)
        self._process = subprocess.Popen(
            command, cwd=CHECKOUT, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            start_new_session=True,  # a signal to the run's group is none to it: it stops when its row is written
        )  # fmt: skip

    def wait_for_rows(self, count: int, after: float = 0.0, timeout_seconds: float = START_SECONDS) -> ProbeLog:
        """The log once `count` rows were acknowledged after a time. PermanentError where they are not in time."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            log = self.read()
            if sum(at > after for at in log.acknowledged.values()) >= count:
                return log
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise PermanentError(
                    f"The probe had no {count} rows acknowledged within {timeout_seconds:.0f} s.",
                    f"See whether the database's name leads to a primary; the probe's log is {self.log}.",
                )
            time.sleep(POLL_SECONDS)

    def read(self) -> ProbeLog:
        """What it logged so far."""
        with self.log.open() as lines:
            return read_probe_log(lines)

    def stop(self) -> ProbeLog:
        """Let it end its row and stop; its whole log. Stopping twice is stopping once."""
        with suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:  # its server does not answer: the row stays in doubt
            self._process.kill()
            self._process.wait()
        return self.read()


class _Writer:
    """The loop of the process."""

    def __init__(self, log: int, run_id: str, pause_seconds: float) -> None:
        self._log, self._run_id, self._pause_seconds = log, run_id, pause_seconds
        self._number = 0
        self.is_stopping = False

    def run(self) -> None:
        """Write until it is told to stop, through as many connections as that takes."""
        import psycopg

        while not self.is_stopping:
            try:
                with psycopg.connect("", autocommit=True, connect_timeout=2, application_name="probe") as connection:
                    if not self._number:
                        connection.execute(CREATE)
                    self._tell("connected", self._number)
                    self._write_rows(connection)
            except psycopg.Error as error:
                self._tell("broken", self._number, type(error).__name__)
                time.sleep(RECONNECT_SECONDS)

    def _write_rows(self, connection: Any) -> None:
        while not self.is_stopping:
            self._number += 1
            self._tell(SENT, self._number)
            connection.execute(INSERT, (self._run_id, self._number))
            self._tell(ACKNOWLEDGED, self._number)
            time.sleep(self._pause_seconds)

    def _tell(self, word: str, number: int, more: str = "") -> None:
        """One write for each line: what is in the file was so, whatever happens to us next."""
        os.write(self._log, f"{word} {number} {read_time():.6f} {more}".rstrip().encode() + b"\n")


def main(log: str, run_id: str, pause_seconds: str) -> None:
    """Until stdin ends. A server that does not answer keeps nobody: then the process is killed."""
    writer = _Writer(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), run_id, float(pause_seconds))

    def watch() -> None:
        while os.read(0, 1024):
            pass
        writer.is_stopping = True
        time.sleep(STOP_SECONDS / 2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    writer.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
