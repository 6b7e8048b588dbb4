"""What provisioning through Terrarium costs against typing Terraform's commands, pair by pair in one run.

`make bench ONLY=provision` prints a line name=value for each figure; nothing here asserts a time.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from blocks.aws import AwsAccount
from blocks.environment_files import read_classes
from blocks.settings import CHECKOUT
from domain.spec_file import resolve_spec
from tests.bench.by_hand import ByHand
from tests.bench.memory import MemorySampler
from tests.stack import LocalStack

PAIRS = 3
#: What makes dev's database a pair of servers of our own.
DATABASE_PAIR = "    provider: postgres\n    example_rows: 1000000\n"
TERRARIUM = Path(sys.executable).with_name("terrarium")


@dataclass(frozen=True)
class Timed:
    """Seconds of one flow: from RUNNING to its final state, and from the command to its answer."""

    flow: float
    command: float


@dataclass(frozen=True)
class Pair:
    """The same environment twice, each in an account of its own: through Terrarium, and by hand."""

    stack: LocalStack
    file: Path
    hand: ByHand

    def apply(self) -> Timed:
        """`terrarium env apply FILE --yes`."""
        command = [TERRARIUM, "env", "apply", self.file, "--yes", "--json"]
        began = time.monotonic()
        environment = self.stack.environment
        done = subprocess.run(command, env=environment, cwd=CHECKOUT, text=True, capture_output=True, timeout=900)
        seconds = time.monotonic() - began
        assert done.returncode == 0, done.stderr
        return Timed(flow=_read_flow_seconds(self.stack, json.loads(done.stdout)["run_id"]), command=seconds)


def _read_flow_seconds(stack: LocalStack, run_id: str) -> float:
    states = httpx.get(f"{stack.settings.prefect_api_url}/flow_run_states/", params={"flow_run_id": run_id}).json()
    at = {state["type"]: datetime.fromisoformat(state["timestamp"]) for state in states}
    return (at["COMPLETED"] - at["RUNNING"]).total_seconds()


@pytest.fixture(scope="module")
def pairs(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    """Bootstrapped accounts for all pairs, before any clock runs."""
    ids = [f"{number:012d}" for number in range(900000000001, 900000000001 + 2 * PAIRS)]
    command = [sys.executable, "-m", "tests.bench.prepare_accounts", *ids]
    done = subprocess.run(command, env=stack.environment, cwd=CHECKOUT, text=True, capture_output=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    accounts = [AwsAccount.model_validate(row) for row in json.loads(done.stdout)]
    return [
        _create_pair(stack, tmp_path_factory.mktemp(f"pair{number}"), number, accounts[2 * number : 2 * number + 2])
        for number in range(PAIRS)
    ]


def _create_pair(stack: LocalStack, folder: Path, number: int, accounts: list[AwsAccount]) -> Pair:
    text = (CHECKOUT / "environments" / "dev.yaml").read_text()
    text = text.replace("name: dev\n", f"name: bench-{number}\naccount: {accounts[0].name}\n", 1)
    assert DATABASE_PAIR in text
    text = text.replace(DATABASE_PAIR, "", 1)  # by hand there is Terraform alone: its RDS, as before
    file = folder / f"bench-{number}.yaml"
    file.write_text(text)
    spec = resolve_spec(text, file.name, read_classes())
    return Pair(stack=stack, file=file, hand=ByHand(folder / "by-hand", stack.settings, accounts[1], spec))


@pytest.mark.timeout(3600)
def test_provision(stack: LocalStack, pairs: list[Pair], capsys: pytest.CaptureFixture[str]) -> None:
    """dev from nothing, then once more: each against the same by hand, the order alternating."""
    with MemorySampler(stack) as memory:
        first = [_time_pair(number, pair.apply, pair.hand.apply) for number, pair in enumerate(pairs)]
        second = [_time_pair(number, pair.apply, pair.hand.plan) for number, pair in enumerate(pairs)]
    with capsys.disabled():
        _print_ratios("provision", first)
        _print_ratios("noop", second)
        memory.print()


def _time_pair(number: int, flow: Callable[[], Timed], hand: Callable[[], float]) -> tuple[Timed, float]:
    if number % 2:
        by_hand = hand()
        return flow(), by_hand
    timed = flow()
    return timed, hand()


def _print_ratios(name: str, measured: list[tuple[Timed, float]]) -> None:
    rows = {
        f"{name}_ratio": [timed.flow / hand for timed, hand in measured],
        f"{name}_command_ratio": [timed.command / hand for timed, hand in measured],
        f"{name}_flow_s": [timed.flow for timed, _ in measured],
        f"{name}_command_s": [timed.command for timed, _ in measured],
        f"{name}_by_hand_s": [hand for _, hand in measured],
    }
    for row, values in rows.items():
        spread = " ".join(f"{value:.2f}" for value in values)
        print(f"{row}={statistics.median(values):.2f}  # of {spread}")  # noqa: T201 - a bench prints its figures
