"""`python -m deployments migrate` and `register`: what comes before the first run, and after each upgrade, of a stack
that is not `make up`'s own. Both change nothing where there is nothing to change.
"""

import argparse
import asyncio
import sys
import time

from pydantic import ValidationError
from sqlalchemy import make_url

from blocks.settings import Settings, read_settings
from domain.errors import RefusedError, TemporaryError, TerrariumError

POLL_SECONDS = 1.0


def main() -> int:
    """Exit code 0, or 1 with what failed and what to do about it."""
    parser = argparse.ArgumentParser(prog="python -m deployments", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="bring the ledger's schema up to date, as its owner; give the first token")
    register = commands.add_parser("register", help="tell Prefect the work pool and the deployments")
    register.add_argument("--pool", choices=["process", "kubernetes"], default="process", help="the work pool's type")
    register.add_argument("--image", default="", help="the image of a run's job, for a pool of type kubernetes")
    register.add_argument("--namespace", default="terrarium", help="where jobs run, for a pool of type kubernetes")
    arguments = parser.parse_args()
    if arguments.command == "register" and arguments.pool == "kubernetes" and not arguments.image:
        parser.error("a pool of type kubernetes needs --image")
    try:
        settings = read_settings()
        told = _migrate(settings) if arguments.command == "migrate" else _register(settings, arguments)
    except ValidationError as error:
        print(f"A TERRARIUM_ variable has a wrong value. {error}\nSee docs/settings.md.", file=sys.stderr)  # noqa: T201 - a command's own voice
        return 1
    except TerrariumError as error:
        print(f"{arguments.command} failed. {error.summary}\n{error.resolution}", file=sys.stderr)  # noqa: T201 - as above
        return 1
    print(told)  # noqa: T201 - as above
    return 0


def _migrate(settings: Settings) -> str:
    """As the owner; the role of the application, which has to be there, is the one that TERRARIUM_LEDGER_URL names."""
    from blocks.ledger.migrate import migrate

    owner, app = (it.get_secret_value() for it in (settings.ledger_owner_url, settings.ledger_url))
    if not owner or not app:
        raise RefusedError(
            "Migrating needs the ledger's URL twice: for its owner and for the application's role.",
            "Set TERRARIUM_LEDGER_OWNER_URL and TERRARIUM_LEDGER_URL.",
        )
    told = f"The ledger is at revision {migrate(owner, make_url(app).username)}."
    return " ".join(filter(None, (told, _give_first_token(settings))))


def _give_first_token(settings: Settings) -> str:
    """Where the state folder has a token, it is an administrator's."""
    from blocks.ledger import open_ledger
    from deployments.first_token import record_first_token

    token_file = settings.state_dir / "token"
    if not token_file.is_file():
        return ""
    with open_ledger(settings.ledger_url.get_secret_value()) as ledger:
        name = record_first_token(ledger, token_file)
    return f"The token in {token_file} is {name}, an administrator's." if name else ""


def _register(settings: Settings, arguments: argparse.Namespace) -> str:
    _wait_for_prefect(settings)
    # Only now: Prefect takes a second to import.
    from deployments.registration import describe_jobs, describe_processes, register_deployments

    is_kubernetes = arguments.pool == "kubernetes"
    pool = describe_jobs(arguments.image, arguments.namespace) if is_kubernetes else describe_processes()
    changed = asyncio.run(register_deployments(pool, settings.runs_at_once))
    return f"Deployments registered: {', '.join(changed) or 'all were there'}."


def _wait_for_prefect(settings: Settings) -> None:
    """Its server may start beside us, and makes its tables at its first start."""
    from blocks.prefect_api import open_prefect

    api, began = open_prefect(settings.prefect_api_url), time.monotonic()
    while not api.is_healthy():
        if time.monotonic() - began > settings.start_timeout_seconds:
            raise TemporaryError(
                f"Prefect at {api.url} has not answered for {settings.start_timeout_seconds:.0f} seconds.",
                "Look at the server's own log; the address is TERRARIUM_PREFECT_SERVER_URL.",
            )
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
