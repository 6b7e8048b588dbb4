"""`python -m deployments.local up` and `down`: the two commands of the Makefile. One at a time per state folder."""

import argparse
import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError
from rich.console import Console

from blocks.settings import Settings, read_settings
from deployments.local.down import stop_stack
from deployments.local.farewell import write_farewell
from deployments.local.layout import Layout
from deployments.local.up import start_stack
from domain.errors import RefusedError, TerrariumError


def main() -> int:
    """Exit code 0, or 1 with what failed and what to do about it."""
    parser = argparse.ArgumentParser(prog="python -m deployments.local", description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument(
        "--servers-only", action="store_true", help="start the servers, make no account and no environment"
    )
    arguments = parser.parse_args()
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    try:
        settings = read_settings()
        with _hold_lock(settings):
            if arguments.command == "down":
                stop_stack(settings, console.print)
            else:
                stack = start_stack(settings, console.print)
                if not arguments.servers_only:
                    # Only now: Prefect reads the environment, which `start_stack` sets, at its import.
                    from deployments.local.environments import make_environments

                    make_environments(settings, console.print)
                console.print(write_farewell(stack))
    except ValidationError as error:
        console.print(f"A TERRARIUM_ variable has a wrong value. {error}\nSee docs/settings.md.", style="red")
        return 1
    except TerrariumError as error:
        console.print(f"{arguments.command} failed. {error.summary}\n{error.resolution}", style="red")
        return 1
    return 0


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
