"""A person with a terminal and a browser in front of the stack, and an environment whose time runs out meanwhile."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from blocks.settings import CHECKOUT
from tests.e2e.browser import Window, open_window
from tests.e2e.lifetime import Lifetime, live
from tests.e2e.user import COMMAND_SECONDS, User
from tests.integration.conftest import report_missing
from tests.stack import LocalStack

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def user(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> User:
    """A person whose stack has the account that the sandboxes are made in."""
    create = [sys.executable, "-m", "tests.e2e.create_account"]
    subprocess.run(create, env=stack.environment, cwd=CHECKOUT, check=True, timeout=COMMAND_SECONDS)
    return User(stack, tmp_path_factory.mktemp("user"))


@pytest.fixture(scope="session")
def lifetime(user: User) -> Iterator["Future[Lifetime]"]:
    """An environment of two minutes, begun with the first test that names it: its life passes beside the others."""
    is_over = Event()
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(live, user, is_over)
        is_over.set()


@pytest.fixture
def window(stack: LocalStack, tmp_path: Path) -> Iterator[Window]:
    """A browser window on Prefect. A missing browser is a skip on a laptop and a failure in CI."""
    program = Path(os.environ.get("CHROMIUM", CHROMIUM))
    if not program.exists():
        report_missing(f"There is no {program}: install Debian's chromium, or name another in CHROMIUM.")
    with open_window(program, stack.settings.prefect_url, tmp_path) as opened:
        yield opened
