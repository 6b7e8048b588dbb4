"""One PostgreSQL server's folder and its programs, run as the server's account.

Invariant: no password is an argument; what a program has to know of one is in a file or in its environment.
"""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from blocks.postgres.account import Account, write_owned
from domain.errors import PermanentError

#: Seconds for a program that has little to do. A base backup and a rewind say their own.
TIMEOUT_SECONDS = 120.0
#: All that a program of PostgreSQL knows of our environment.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class ServerFolder:
    """`account` is None where we are not root: then PostgreSQL runs as we do."""

    folder: Path
    programs: Path
    account: Account | None = None

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.folder / "data"

    def run(
        self,
        program: str,
        *arguments: str,
        text: str = "",
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a PostgreSQL program as the account, with `text` on its standard input and nothing of our environment.

        `environment` is given beside the little that it always gets. The exit code is the caller's to judge.
        """
        options = self.account.subprocess_options() if self.account else {}
        return subprocess.run(
            [str(self.programs / program), *arguments],
            input=text,
            cwd=self.folder,
            env=ENVIRONMENT | dict(environment or {}),
            text=True,
            capture_output=True,
            timeout=timeout_seconds,
            **options,
        )

    def check(
        self,
        program: str,
        *arguments: str,
        text: str = "",
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> str:
        """Run a program that has to succeed; its standard output. PermanentError with its own words."""
        done = self.run(program, *arguments, text=text, environment=environment, timeout_seconds=timeout_seconds)
        if done.returncode:
            words = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
            raise PermanentError(
                f"{program} of the PostgreSQL server in {self.folder} failed: {' '.join(words[-3:])}",
                "Mend what PostgreSQL names, and run it again.",
            )
        return done.stdout

    def read_version(self) -> str:
        """Version of the server programs, like 15.6."""
        return self.run("postgres", "--version").stdout.split()[2]


def initialise(server: ServerFolder, superuser: str, password: str) -> None:
    """Make the data directory, with data checksums and one superuser who has a password. It must not be there yet."""
    file = server.folder / "superuser-password"
    write_owned(file, f"{password}\n", server.account)
    options = (f"--username={superuser}", "--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions")
    try:
        server.check("initdb", "-D", str(server.data), *options, "--auth=scram-sha-256", f"--pwfile={file}")
    finally:
        file.unlink()


def start_scratch(server: ServerFolder, options: Mapping[str, str], timeout_seconds: float = TIMEOUT_SECONDS) -> None:
    """Start a server that nobody keeps, and wait until it accepts sessions. Who starts it stops it.

    `options` are settings such as `{"port": "6000", "listen_addresses": "127.0.0.1"}`.
    """
    settings = " ".join(f"-c {name}={_quote(value)}" for name, value in options.items())
    wait = ("-w", "-t", str(round(timeout_seconds)))
    arguments = ("-D", str(server.data), *wait, "-l", str(server.folder / "log"), "-o", settings, "start")
    server.check("pg_ctl", *arguments, timeout_seconds=timeout_seconds + 10)


def stop_scratch(server: ServerFolder, mode: str = "fast", timeout_seconds: float = TIMEOUT_SECONDS) -> None:
    """Stop it: `fast`, or `immediate` as in a crash. One that does not run is stopped."""
    if not (server.data / "postmaster.pid").exists():
        return
    wait = ("-w", "-t", str(round(timeout_seconds)))
    server.check("pg_ctl", "-D", str(server.data), *wait, "-m", mode, "stop", timeout_seconds=timeout_seconds + 10)


def _quote(value: str) -> str:
    """As pg_ctl hands it to a shell."""
    return "'" + value.replace("'", "'\\''") + "'"
