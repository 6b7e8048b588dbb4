"""Stand-ins for outside systems. Each passes the contract suite of the block it stands in for: a fake cannot lie."""

import threading
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from blocks.prefect_api import PrefectLog, PrefectRun
from domain.account import Account
from domain.errors import PermanentError, TemporaryError
from domain.status import RunStatus

DEPLOYMENTS = ("plan", "provision", "teardown", "expire", "anchor", "drill", "failover", "backup", "verify")


class FakePrefect:
    """The part of Prefect that the console asks, without a worker: tests say with `enter` what becomes of a run."""

    def __init__(self, deployments: Iterable[str] = DEPLOYMENTS) -> None:
        self.runs: dict[str, PrefectRun] = {}
        self.logs: dict[str, list[PrefectLog]] = {}
        self.accounts: dict[str, Account] = {}
        self.tags: dict[str, list[str]] = {}
        self._deployments = set(deployments)
        self._starting = threading.Lock()
        self.is_away = False

    def start_run(
        self, deployment: str, parameters: dict[str, Any], idempotency_key: str, tags: Iterable[str] = ()
    ) -> PrefectRun:
        """Queue a run; the same key gives the same run. TemporaryError where a test says that Prefect is away."""
        if self.is_away:
            raise TemporaryError("Prefect does not answer.", "Try again.")
        if deployment not in self._deployments:
            raise PermanentError(f"Prefect has no deployment {deployment}.", "Run `make up`.")
        with self._starting:  # as Prefect's database, which has one row for a key
            for run in self.runs.values():
                if (run.deployment, run.idempotency_key) == (deployment, idempotency_key):
                    return run
            run = PrefectRun(
                run_id=str(uuid.uuid4()),
                deployment=deployment,
                status=RunStatus.QUEUED,
                message="",
                parameters=parameters,
                idempotency_key=idempotency_key,
                created_at=datetime.now(UTC),
                started_at=None,
                finished_at=None,
            )
            self.runs[run.run_id], self.tags[run.run_id] = run, sorted(tags)
            return run

    def enter(self, run_id: str, status: RunStatus, message: str = "") -> None:
        """Put a run into a state, as a worker or a crash would."""
        now = datetime.now(UTC)
        update: dict[str, Any] = {"status": status, "message": message, "started_at": now}
        if status.is_final:
            update["finished_at"] = now
        self.runs[run_id] = self.runs[run_id].model_copy(update=update)

    def add_log(self, run_id: str, message: str) -> None:
        """Write a line of a run's log."""
        line = PrefectLog(id=str(uuid.uuid4()), at=datetime.now(UTC), level="info", message=message)
        self.logs.setdefault(run_id, []).append(line)

    def read_run(self, run_id: str) -> PrefectRun | None:
        """One run."""
        return self.runs.get(run_id)

    def find_run(self, idempotency_key: str) -> PrefectRun | None:
        """The run that was started under a key."""
        return next((run for run in self.runs.values() if run.idempotency_key == idempotency_key), None)

    def read_runs(self, run_ids: Iterable[str]) -> dict[str, PrefectRun]:
        """Those that are known."""
        return {run_id: self.runs[run_id] for run_id in run_ids if run_id in self.runs}

    def read_live_runs(self, now: datetime) -> list[PrefectRun]:
        """Those that were due and have not ended, newest first."""
        live = [run for run in self.runs.values() if not run.status.is_final and run.created_at <= now]
        return sorted(live, key=lambda run: run.created_at, reverse=True)

    def read_logs(self, run_id: str, after: datetime | None = None) -> list[PrefectLog]:
        """Lines at or after a time."""
        return [line for line in self.logs.get(run_id, []) if after is None or line.at >= after]

    def cancel_run(self, run_id: str) -> None:
        """A queued run is cancelled at once; one that runs would still have to stop; an ended one is left alone."""
        run = self.runs.get(run_id)
        if run is None:
            raise PermanentError(f"Prefect knows no run {run_id}.", "See the list of runs.")
        if run.status.is_final and run.status is not RunStatus.CANCELLED:
            raise PermanentError(f"Run {run_id} cannot be cancelled.", "It has ended.")
        if run.status is RunStatus.QUEUED:
            self.enter(run_id, RunStatus.CANCELLED)

    def list_accounts(self) -> list[Account]:
        """Every account, by name."""
        return sorted(self.accounts.values(), key=lambda account: account.name)

    def save_account(self, account: Account) -> None:
        """Register or change one."""
        self.accounts[account.name] = account

    def read_last_success(self, deployment: str) -> datetime | None:
        """The newest end of a run that succeeded."""
        ended = [run for run in self.runs.values() if run.deployment == deployment]
        ends = [run.finished_at for run in ended if run.status is RunStatus.SUCCEEDED and run.finished_at]
        return max(ends, default=None)

    def is_healthy(self) -> bool:
        """Always."""
        return True
