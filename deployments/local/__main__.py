"""`python -m deployments.local up`, `down`, `backup` and `restore`. One at a time per state folder.

`up` and `down` are the Makefile's and speak to a person; the other two are the command line's, which reads their JSON.
"""

import argparse
import fcntl
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from blocks.settings import Settings, read_settings
from deployments.local.down import stop_stack
from deployments.local.farewell import write_farewell
from deployments.local.layout import Layout
from deployments.local.up import start_stack
from domain.errors import RefusedError, TerrariumError

Report = Callable[[str], None]


def main() -> int:
    """Exit code 0, or 1 with what failed and what to do about it."""
    arguments = _read_arguments()
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    try:
        settings = read_settings()
        with _hold_lock(settings):
            COMMANDS[arguments.command](settings, arguments, console.print)
    except ValidationError as error:
        console.print(f"A TERRARIUM_ variable has a wrong value. {error}\nSee docs/settings.md.", style="red")
        return 1
    except TerrariumError as error:
        console.print(f"{arguments.command} failed. {error.summary}\n{error.resolution}", style="red")
        if arguments.command in ANSWERING:
            kind = "refused" if isinstance(error, RefusedError) else "failed"
            print(json.dumps({"kind": kind, "summary": error.summary, "resolution": error.resolution}))  # noqa: T201 - the answer
        return 1
    return 0


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deployments.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up")
    up.add_argument("--servers-only", action="store_true", help="start the servers, make no account and no environment")
    commands.add_parser("down")
    backup = commands.add_parser("backup")
    backup.add_argument("--to", type=Path, help="a folder; without it: the vault of TERRARIUM_VAULT_ACCOUNT")
    restore = commands.add_parser("restore")
    restore.add_argument("folder", type=Path)
    restore.add_argument("--yes", action="store_true", help="replace the databases that are there")
    return parser.parse_args()


def _up(settings: Settings, arguments: argparse.Namespace, report: Report) -> None:
    stack = start_stack(settings, report)
    if not arguments.servers_only:
        # Only now: Prefect reads the environment, which `start_stack` sets, at its import.
        from deployments.local.environments import make_environments

        make_environments(settings, report)
    report(write_farewell(stack))


def _down(settings: Settings, _: argparse.Namespace, report: Report) -> None:
    stop_stack(settings, report)


def _backup(settings: Settings, arguments: argparse.Namespace, _: Report) -> None:
    from deployments.local.backup import take_backup

    print(json.dumps(take_backup(settings, arguments.to)))  # noqa: T201 - the answer, for whoever started this


def _restore(settings: Settings, arguments: argparse.Namespace, _: Report) -> None:
    from deployments.local.restore import restore_backup

    print(json.dumps(restore_backup(settings, arguments.folder, may_overwrite=arguments.yes)))  # noqa: T201 - as above


COMMANDS = {"up": _up, "down": _down, "backup": _backup, "restore": _restore}
#: Those that answer with JSON on stdout.
ANSWERING = ("backup", "restore")


@contextmanager
def _hold_lock(settings: Settings) -> Iterator[None]:
    layout = Layout(settings.state_dir)
    layout.create()
    with layout.lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(
                f"Another `make up` or `make down` works on {settings.state_dir}.", "Wait until it has ended."
            ) from None
        yield


if __name__ == "__main__":
    sys.exit(main())
