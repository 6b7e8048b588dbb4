"""Every step, every way to die, early and late: what one cell does, and what has to be so afterwards.

A step without a Terraform child is caught by its record in the ledger, which waits: before its effect (early) or after
it (late). An apply and a destroy are caught in Terraform's own stream, at its first resource (early) or when most are
done (late); Terraform is frozen at that moment, so that the cell is what it says.
"""

import os
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from blocks.ledger import RunRow
from blocks.left_processes import find_left_processes
from domain.status import RunStatus
from tests.account_count import count_account, open_clients
from tests.flow_world import World
from tests.polling import wait_for

PROVISION = ("apply_infrastructure", "verify_infrastructure", "publish_report")
KEPT_MEDIA = ("copy_media_to_vault", "empty_media")
REMOVAL = ("destroy_infrastructure", "verify_removal", "publish_removal_report")
TERRAFORM_STEPS = ("apply_infrastructure", "destroy_infrastructure")
FAULTS = ("exception", "SIGTERM", "SIGKILL of the flow", "SIGKILL of Terraform", "SIGKILL of both", "cancel")
OF_TERRAFORM = ("SIGKILL of Terraform", "SIGKILL of both")
MOMENTS = ("early", "late")
#: How a run may end: one that is told to stop writes its own end, one that is killed gets it from the sweeper.
ENDS: dict[str, set[str]] = {
    "exception": {"failed"},
    "SIGTERM": {"cancelled"},
    "SIGKILL of the flow": {"crashed"},
    "SIGKILL of Terraform": {"failed"},
    "SIGKILL of both": {"crashed"},
    "cancel": {"cancelled"},
}
CATCH_SECONDS = 240.0
#: Where a cell may begin; from anything else that an earlier one left, it first makes or removes the environment.
BEGINS = {"ready": True, "destroyed": False, None: False}
END_SECONDS = 240.0
GLANCE_SECONDS = 0.003


@dataclass(frozen=True)
class Cell:
    """One way to die at one place."""

    cloud: str
    word: str
    step: str
    fault: str
    moment: str

    def __str__(self) -> str:
        return f"{self.cloud} | {self.word} | {self.step} | {self.fault} | {self.moment}"

    @property
    def has_child(self) -> bool:
        """Whether there is a Terraform to be killed."""
        return self.step in TERRAFORM_STEPS

    @property
    def is_possible(self) -> bool:
        """A step without Terraform has no cell in which Terraform is killed."""
        return self.has_child or self.fault not in OF_TERRAFORM


def list_cells(cloud: str) -> list[Cell]:
    """The cells of a stack: all steps on `terraform_data`, Terraform's on AWS; provisions and teardowns alternate."""
    steps = {"provision": PROVISION, "teardown": KEPT_MEDIA + REMOVAL}
    columns = [
        [
            Cell(cloud, word, step, fault, moment)
            for step in steps[word]
            for fault in FAULTS
            for moment in MOMENTS
            if cloud == "terraform_data" or step in TERRAFORM_STEPS
        ]
        for word in steps
    ]
    longest = max(map(len, columns))
    return [column[n] for n in range(longest) for column in columns if n < len(column)]


class MissedError(Exception):
    """The run went past the moment before it could be caught."""


@dataclass
class Matrix:
    """The environment that all cells of a stack live on, one after the other: each leaves it for the next."""

    world: World
    name: str
    cloud: str
    version: int
    is_ready: bool | None = False  # None: a cell failed and left something else
    baseline: "Counter[str] | None" = None
    empty: "Counter[str]" = field(default_factory=Counter)

    def run_cell(self, cell: Cell) -> str:
        """Bring the environment where the cell begins, let it die, and check everything; what was shown."""
        if self.cloud == "aws" and self.baseline is None:
            self._count()  # the emulator makes its own aliases when they are first asked for
            self.empty = self._count()
            self.reach(is_ready=True)  # undisturbed: what all later counts are compared with
        self.reach(is_ready=cell.word == "teardown")
        before = {run.run_id for run in self.world.ledger.list_runs(self.name, 5)}
        died_at = time.monotonic()
        self._die(cell)
        run = self._read_new_run(before)
        folder = self.world.stack.settings.state_dir / "work" / self.name / run.run_id
        self._wait_for_processes(run, folder)
        self.world.sweep()
        self._check_afterwards(cell, run.run_id, folder)
        self.reach(is_ready=cell.word == "provision", is_forced=True)
        ended = self.world.ledger.read_run(run.run_id)
        assert ended is not None
        seconds = time.monotonic() - died_at
        return f"{ended.status}, {ended.environment_status or 'unchanged'}; converged in {seconds:.0f} s"

    def reach(self, *, is_ready: bool, is_forced: bool = False) -> None:
        """An undisturbed run to `ready` or `destroyed`, where the environment is not there yet, and a count."""
        if self.is_ready == is_ready and not is_forced:
            return
        word = "provision" if is_ready else "teardown"
        run = self.world.run(word, self.name, self.version if is_ready else None)
        if not is_ready and run.status == "refused":  # the cell had destroyed it already, and says so
            assert self.world.status(self.name) == "destroyed", run.error
        else:
            assert run.status == "succeeded", run.error
        self.is_ready = is_ready
        self._check_count()

    def _check_count(self) -> None:
        """No resource twice, none left: by boto3's own lists, against those of the first undisturbed run."""
        if self.cloud != "aws":
            found = self.world.observe(self.name)["resources"]
            assert bool(found) == self.is_ready
            return
        kinds = self._count()
        if self.is_ready:
            self.baseline = self.baseline or kinds
            assert kinds == self.baseline, f"twice or missing: {kinds - self.baseline} {self.baseline - kinds}"
        else:
            assert kinds - self.empty == Counter()

    def _count(self) -> "Counter[str]":
        """How many of each type the account has, but for what waits for its deletion."""
        emulator = self.world.stack.settings.emulator_url
        count = count_account(open_clients(emulator, self.world.account.account_id))
        return Counter(kind for kind, _, _ in count.present - count.pending)

    def _die(self, cell: Cell) -> None:
        parameters = {"environment": self.name} | ({"spec_version": self.version} if cell.word == "provision" else {})
        record = "begin" if cell.moment == "early" else "end"
        if cell.fault == "exception":
            with self.world.faults.order(self.name, cell.step, record):
                self.world.process.ask("run", cell.word, parameters, None)
        elif cell.has_child:
            queued = self.world.start(cell.word, self.name, parameters.get("spec_version"))
            self._strike_in_terraform(cell, queued.run_id)
        else:
            with self.world.faults.order(self.name, cell.step, record, "hang"):
                queued = self.world.start(cell.word, self.name, parameters.get("spec_version"))
                wait_for(f"{cell.step} waits", self.world.faults.is_hanging, CATCH_SECONDS)
                self._strike(cell.fault, queued.run_id, self._read_pid(queued.run_id), None)
                if cell.fault in ("SIGTERM", "cancel"):
                    wait_for("the run was told and writes its end", self.world.faults.is_awaited)

    def _strike_in_terraform(self, cell: Cell, run_id: str) -> None:
        folder = self.world.stack.settings.state_dir / "work" / self.name / run_id
        terraform = self._freeze(folder / "stacks" / self.cloud / "apply.jsonl", folder, cell.moment)
        try:
            self._strike(cell.fault, run_id, self._read_pid(run_id), terraform.pid)
        finally:
            with suppress(psutil.NoSuchProcess):
                terraform.resume()

    def _freeze(self, transcript: Path, folder: Path, moment: str) -> psutil.Process:
        """Terraform, stopped at its first resource, or when most of them are done."""
        found = wait_for("Terraform applies", lambda: self._find_living(folder), CATCH_SECONDS)
        with suppress(psutil.NoSuchProcess):
            while found.is_running() and found.status() != psutil.STATUS_ZOMBIE:
                text = transcript.read_text(errors="replace") if transcript.exists() else ""
                planned = max(text.count('"type":"planned_change"'), text.count('"type":"apply_start"'))
                done = text.count('"type":"apply_complete"')
                if '"type":"apply_start"' in text if moment == "early" else done and done * 2 >= planned:
                    found.suspend()
                    return found
                time.sleep(GLANCE_SECONDS)
        raise MissedError("Terraform had ended")

    def _find_living(self, folder: Path) -> psutil.Process | None:
        """The Terraform of a run that goes on; MissedError for one that was over before anybody saw it."""
        run = self.world.ledger.read_run(folder.name)
        found = _find_apply(folder)
        if found is None and run and run.finished_at:
            raise MissedError("the run had ended")
        return found

    def _strike(self, fault: str, run_id: str, pid: int, terraform: int | None) -> None:
        if fault == "cancel":
            self.world.prefect.cancel_run(run_id)
            return
        if fault == "SIGTERM":
            os.kill(pid, signal.SIGTERM)
            return
        flow = psutil.Process(pid)
        if fault == "SIGKILL of both":
            flow.suspend()
        if fault in OF_TERRAFORM:
            assert terraform is not None
            os.kill(terraform, signal.SIGKILL)
        if fault != "SIGKILL of Terraform":
            flow.kill()

    def _read_pid(self, run_id: str) -> int:
        run = self.world.ledger.read_run(run_id)
        assert run is not None
        return run.pid

    def _read_new_run(self, before: set[str]) -> RunRow:
        new = [run for run in self.world.ledger.list_runs(self.name, 5) if run.run_id not in before]
        assert len(new) == 1
        return new[0]

    def _wait_for_processes(self, run: RunRow, folder: Path) -> None:
        """Until the run has its end, or its process and its Terraform are gone."""

        def has_ended() -> bool:
            found = self.world.ledger.read_run(run.run_id)
            if found is not None and found.finished_at:
                return True
            is_dead = all(row.is_proved_dead for row in self.world.ledger.list_live(self.name))
            return is_dead and not any(process.is_terraform for process in find_left_processes(folder))

        wait_for(f"run {run.run_id} is over", has_ended, END_SECONDS)

    def _check_afterwards(self, cell: Cell, run_id: str, folder: Path) -> None:
        """No process, no lease, no lock, no folder; and the ledger says how it ended, and what there is."""
        world = self.world
        run = world.ledger.read_run(run_id)
        assert run is not None
        assert run.status in ENDS[cell.fault], f"{run.status}: {run.error}"
        wait_for("no process is left", lambda: find_left_processes(folder) == [], 60)
        wait_for("no scratch folder is left", lambda: not folder.exists(), 60)
        assert (world.ledger.list_leases(), world.ledger.list_live(self.name)) == ([], [])
        assert not world.observe(self.name)["is_locked"]
        assert [step.name for step in world.steps(run_id) if step.outcome == "begun"] == []
        assert world.status(self.name) not in ("provisioning", "destroying")
        if run.environment_status and run.environment_status not in ("ready", "destroyed"):
            assert (run.report or {}).get("exists", []) == list(world.observe(self.name)["resources"])
        assert world.ledger.verify_chain() is None
        wait_for("Prefect has an end", lambda: _is_final(world.prefect.read_run(run_id)), 60)


def _find_apply(folder: Path) -> psutil.Process | None:
    """The Terraform of an apply that works in a run's folder."""
    with suppress(psutil.NoSuchProcess):
        for process in find_left_processes(folder):
            if process.is_terraform and "apply" in psutil.Process(process.pid).cmdline():
                return psutil.Process(process.pid)
    return None


def _is_final(run: Any) -> bool:
    return run is not None and RunStatus(run.status).is_final


def try_cell(matrix: Matrix, cell: Cell, tries: int = 3) -> str:
    """What a cell showed; a run that was too quick to be caught is let to its end, and the cell begins again."""
    if not cell.is_possible:
        return "n/a: no Terraform child"
    for number in range(tries):
        matrix.is_ready = BEGINS.get(matrix.world.status(matrix.name))
        try:
            return matrix.run_cell(cell)
        except MissedError:
            if number == tries - 1:
                raise
            wait_for("the run has ended", lambda: not matrix.world.ledger.list_live(matrix.name), END_SECONDS)
    raise AssertionError("unreachable")
