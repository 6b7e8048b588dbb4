"""What a restore test costs against the same commands typed by hand, pair by pair in one run.

`make bench ONLY=verify` prints a line name=value for each figure; nothing here asserts a time.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from blocks.aws import AwsAccount
from blocks.backup_vault import fetch_backup
from blocks.postgres_binaries import find_postgres_binaries
from blocks.settings import CHECKOUT
from domain.backup_plan import name_folder
from tests.bench.memory import MemorySampler
from tests.bench.test_provision import TERRARIUM, _read_flow_seconds
from tests.postgres_server import _as_user, _user
from tests.stack import LocalStack, find_free_ports

PAIRS = 5
ROWS = 1_000_000
NAME = "bench-backup"


@dataclass(frozen=True)
class Taken:
    """An environment with a pair of a million rows and a backup of it; `dump` is the file in the vault."""

    stack: LocalStack
    dump: Path

    def verify(self) -> float:
        """Seconds of the flow, from RUNNING to its end."""
        told = run_terrarium(self.stack, "backup", "verify", NAME)
        assert told["status"] == "passed", told
        assert all(found["passed"] for found in told["questions"].values()), told
        return _read_flow_seconds(self.stack, str(told["run_id"]))


def run_terrarium(stack: LocalStack, *arguments: str) -> dict[str, Any]:
    """The answer of a command that succeeds."""
    done = subprocess.run(
        [TERRARIUM, *arguments, "--json"],
        env=stack.environment, cwd=CHECKOUT, text=True, capture_output=True, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def verify_by_hand(dump: Path) -> float:
    """Seconds of initdb, start, `pg_restore -j2`, `pg_amcheck` and stop, as a user would type them."""
    programs, folder = find_postgres_binaries(), Path(tempfile.mkdtemp(prefix="terrarium-by-hand-"))
    port = str(find_free_ports(1)[0])
    try:
        shutil.copy(dump, folder / "dump")
        for path in (folder, folder / "dump"):
            os.chown(path, *_user())
        place = ("-h", str(folder), "-p", port, "-U", "owner")
        start = ("-w", "-l", str(folder / "log"), "-o", f"-p {port} -k {folder} -c listen_addresses=")
        began = time.monotonic()
        for program, *arguments in (
            ("initdb", "-D", f"{folder}/data", "-U", "owner", "-A", "trust", "-E", "UTF8"),
            ("pg_ctl", "-D", f"{folder}/data", *start, "start"),
            ("createdb", *place, "app"),
            ("pg_restore", *place, "-d", "app", "-j2", "--no-owner", "--no-privileges", f"{folder}/dump"),
            ("pg_amcheck", *place, "--install-missing", "app"),
            ("pg_ctl", "-D", f"{folder}/data", "-w", "-m", "fast", "stop"),
        ):
            with (folder / "output").open("ab") as output:
                command = [*_as_user(), programs / program, *arguments]
                done = subprocess.run(command, cwd=folder, stdout=output, stderr=output, env={"LC_ALL": "C.UTF-8"})
            assert done.returncode == 0, (folder / "output").read_text()
        return time.monotonic() - began
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def taken(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    """The pair filled and backed up, before any clock runs. Verified once: everything is warm for both."""
    folder = tmp_path_factory.mktemp("verify")
    command = [sys.executable, "-m", "tests.bench.prepare_accounts", "900000000901"]
    done = subprocess.run(command, env=stack.environment, cwd=CHECKOUT, text=True, capture_output=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    account = AwsAccount.model_validate(json.loads(done.stdout)[0])
    text = (CHECKOUT / "environments" / "dev.yaml").read_text()
    assert f"example_rows: {ROWS}\n" in text
    file = folder / f"{NAME}.yaml"
    file.write_text(text.replace("name: dev\n", f"name: {NAME}\naccount: {account.name}\ncloud: terraform_data\n", 1))
    run_terrarium(stack, "env", "apply", str(file), "--yes")
    backup = run_terrarium(stack, "backup", "take", NAME)
    dump = fetch_backup(account, name_folder(NAME, backup["id"]), folder)
    taken = Taken(stack, dump)
    taken.verify()
    return taken


@pytest.mark.timeout(3600)
def test_verify(taken: Taken, capsys: pytest.CaptureFixture[str]) -> None:
    """Five pairs, the order alternating."""
    flows, hands = [], []
    with MemorySampler(taken.stack) as memory:
        for number in range(PAIRS):
            for which in ("flow", "hand")[:: 1 if number % 2 else -1]:
                (flows if which == "flow" else hands).append(
                    taken.verify() if which == "flow" else verify_by_hand(taken.dump)
                )
    with capsys.disabled():
        rows = {
            "verify_ratio": [flow / hand for flow, hand in zip(flows, hands, strict=True)],
            "verify_flow_s": flows,
            "verify_by_hand_s": hands,
        }
        for row, values in rows.items():
            spread = " ".join(f"{value:.2f}" for value in values)
            print(f"{row}={statistics.median(values):.2f}  # of {spread}")  # noqa: T201 - a bench prints its figures
        memory.print()
