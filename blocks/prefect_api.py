"""Prefect's REST API, as far as the console needs it: start, read, follow and cancel runs.

Plain HTTP instead of Prefect's client, whose import costs a second. Every call may be repeated: a run is started under
an idempotency key. Safe to share between threads.
"""

import os
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from domain.errors import PermanentError, TemporaryError
from domain.status import RunStatus

#: Prefect's state types. A paused run waits for a person, a run without a concurrency slot for another run.
STATUSES = {
    "SCHEDULED": RunStatus.QUEUED,
    "PENDING": RunStatus.QUEUED,
    "RUNNING": RunStatus.RUNNING,
    "PAUSED": RunStatus.WAITING,
    "CANCELLING": RunStatus.RUNNING,
    "COMPLETED": RunStatus.SUCCEEDED,
    "FAILED": RunStatus.FAILED,
    "CANCELLED": RunStatus.CANCELLED,
    "CRASHED": RunStatus.CRASHED,
}
#: States in which a run waits: for a slot, by Prefect's own name, and for an approval (tasks/approval.py).
WAITING_NAMES = ("AwaitingConcurrencySlot", "AwaitingApproval")
LIVE_STATES = ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"]
LEVELS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}
#: The most that Prefect gives in one answer, and that we give in one.
PAGE_LIMIT = 200
LOG_LIMIT = 2000


class PrefectRun(BaseModel):
    """A flow run as Prefect tells it: its state says that it ended, the ledger how."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    deployment: str | None
    status: RunStatus
    message: str
    parameters: dict[str, Any]
    idempotency_key: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class PrefectLog(BaseModel):
    """One log line of a run or of one of its tasks."""

    model_config = ConfigDict(frozen=True)

    id: str
    at: datetime
    level: str
    message: str


class RunsApi(Protocol):
    """What the console asks of Prefect; the fake of the tests obeys it too."""

    def start_run(
        self, deployment: str, parameters: dict[str, Any], idempotency_key: str, tags: Iterable[str] = ()
    ) -> PrefectRun:
        """Start a run of a deployment; the same key gives the same run."""

    def read_run(self, run_id: str) -> PrefectRun | None:
        """One run, None where Prefect knows none."""

    def find_run(self, idempotency_key: str) -> PrefectRun | None:
        """The run that was started under a key, None where there is none."""

    def read_runs(self, run_ids: Iterable[str]) -> dict[str, PrefectRun]:
        """Those of the runs that Prefect knows, by id."""

    def read_live_runs(self, now: datetime) -> list[PrefectRun]:
        """Runs that were due by `now` and have not ended, newest first."""

    def read_logs(self, run_id: str, after: datetime | None = None) -> list[PrefectLog]:
        """Log lines at or after a time, oldest first, at most 2000."""

    def cancel_run(self, run_id: str) -> None:
        """Ask a run to stop; PermanentError where it has ended."""

    def read_last_success(self, deployment: str) -> datetime | None:
        """When a run of a deployment last ended well; None where none ever did, or there is no such deployment."""

    def is_healthy(self) -> bool:
        """Prefect answers."""


class PrefectApi:
    """The API at `url` (`http://host:port/api`); temporary errors are tried again for `patience_seconds`."""

    def __init__(
        self, url: str, auth: tuple[str, str] | None = None, patience_seconds: float = 15, timeout_seconds: float = 10
    ) -> None:
        self.url = url.rstrip("/")
        self._patience_seconds = patience_seconds
        # trust_env off: a proxy or a .netrc of the user has no say in a call on loopback.
        self._client = httpx.Client(base_url=self.url, auth=auth, timeout=timeout_seconds, trust_env=False)
        self._deployments: dict[str, str] = {}

    def start_run(
        self, deployment: str, parameters: dict[str, Any], idempotency_key: str, tags: Iterable[str] = ()
    ) -> PrefectRun:
        """Start a run of a deployment; the same key gives the same run. PermanentError for an unknown deployment."""
        body = {"parameters": parameters, "idempotency_key": idempotency_key, "tags": sorted(tags)}
        path = f"/deployments/{self._find_deployment(deployment)}/create_flow_run"
        found = self.call("POST", path, body)
        if found is None:  # `make up` registered it anew, under another id
            self._deployments.clear()
            found = self.call("POST", f"/deployments/{self._find_deployment(deployment)}/create_flow_run", body)
        return self._read(found)

    def _find_deployment(self, name: str) -> str:
        if name not in self._deployments:
            self._read_deployments()
        if name not in self._deployments:
            raise PermanentError(f"Prefect has no deployment {name}.", "Run `make up`, which registers all of them.")
        return self._deployments[name]

    def _name_deployment(self, deployment_id: str | None) -> str | None:
        if deployment_id and deployment_id not in self._deployments.values():
            self._read_deployments()
        return next((name for name, known_id in self._deployments.items() if known_id == deployment_id), None)

    def _read_deployments(self) -> None:
        found = self.call("POST", "/deployments/filter", {"limit": 200}) or []
        self._deployments = {row["name"]: row["id"] for row in found}

    def read_run(self, run_id: str) -> PrefectRun | None:
        """One run, None where Prefect knows none, and for what is no id."""
        found = self.call("GET", f"/flow_runs/{run_id}") if _is_id(run_id) else None
        return self._read(found) if found else None

    def find_run(self, idempotency_key: str) -> PrefectRun | None:
        """The run that was started under a key, None where there is none."""
        wanted = {"flow_runs": {"idempotency_key": {"any_": [idempotency_key]}}, "limit": 1}
        found = self.call("POST", "/flow_runs/filter", wanted)
        return self._read(found[0]) if found else None

    def read_runs(self, run_ids: Iterable[str]) -> dict[str, PrefectRun]:
        """Those of the runs that Prefect knows, by id."""
        wanted = list(run_ids)
        if not wanted:
            return {}
        found = self.call("POST", "/flow_runs/filter", {"flow_runs": {"id": {"any_": wanted}}, "limit": len(wanted)})
        return {row["id"]: self._read(row) for row in found or []}

    def read_live_runs(self, now: datetime) -> list[PrefectRun]:
        """Runs that were due by `now` and have not ended, newest first, at most 200."""
        wanted = {"state": {"type": {"any_": LIVE_STATES}}, "expected_start_time": {"before_": now.isoformat()}}
        body = {"flow_runs": wanted, "sort": "EXPECTED_START_TIME_DESC", "limit": 200}
        return [self._read(row) for row in self.call("POST", "/flow_runs/filter", body) or []]

    def read_logs(self, run_id: str, after: datetime | None = None) -> list[PrefectLog]:
        """Log lines at or after a time, oldest first, at most 2000."""
        wanted: dict[str, Any] = {"flow_run_id": {"any_": [run_id]}}
        if after:
            wanted["timestamp"] = {"after_": after.isoformat()}
        lines: list[PrefectLog] = []
        while len(lines) < LOG_LIMIT:
            body = {"logs": wanted, "sort": "TIMESTAMP_ASC", "limit": PAGE_LIMIT, "offset": len(lines)}
            page = self.call("POST", "/logs/filter", body) or []
            lines += [_read_log(row) for row in page]
            if len(page) < PAGE_LIMIT:
                break
        return lines

    def cancel_run(self, run_id: str) -> None:
        """Ask a run to stop; PermanentError where it has ended, or Prefect has no such run."""
        body = {"state": {"type": "CANCELLING", "name": "Cancelling", "message": "Cancelled from the console."}}
        found = self.call("POST", f"/flow_runs/{run_id}/set_state", body)
        if found is None:
            raise PermanentError(f"Prefect knows no run {run_id}.", "`terrarium runs list` shows the runs.")
        if found["status"] != "ACCEPT" and (found.get("state") or {}).get("type") != "CANCELLED":
            reason = (found.get("details") or {}).get("reason") or found["status"].lower()
            raise PermanentError(f"Run {run_id} cannot be cancelled: {reason}.", f"See `terrarium runs show {run_id}`.")

    def read_last_success(self, deployment: str) -> datetime | None:
        """When a run of a deployment last ended well; None where none ever did, or there is no such deployment."""
        body = {
            "deployments": {"name": {"any_": [deployment]}},
            "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
            "sort": "END_TIME_DESC",
            "limit": 1,
        }
        found = self.call("POST", "/flow_runs/filter", body) or []
        return self._read(found[0]).finished_at if found else None

    def is_healthy(self) -> bool:
        """Prefect answers, now: no second try."""
        try:
            return self._client.get("/health").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON answer, None for 404; TemporaryError once the patience is over, PermanentError for a refusal."""
        tries = Retrying(
            retry=retry_if_exception_type(TemporaryError),
            stop=stop_after_delay(self._patience_seconds),
            wait=wait_exponential_jitter(multiplier=0.1, max=2),
            reraise=True,
        )
        return tries(self._call_once, method, path, body)

    def _call_once(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.TransportError as error:
            raise self._unavailable(type(error).__name__) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise self._unavailable(f"HTTP {answer.status_code}")
        if answer.is_client_error:
            raise PermanentError(
                f"Prefect refused {method} {path}: HTTP {answer.status_code} {answer.text[:500]}",
                "Run `make up`, so that Prefect, its deployments and the console are of one version.",
            )
        return answer.json() if answer.content else {}

    def _unavailable(self, reason: str) -> TemporaryError:
        return TemporaryError(
            f"Prefect at {self.url} does not answer ({reason}).", "`make status` shows it, `make up` starts it."
        )

    def _read(self, row: dict[str, Any]) -> PrefectRun:
        state = row.get("state") or {}
        status = STATUSES[row.get("state_type") or "SCHEDULED"]
        is_waiting = row.get("state_name") in WAITING_NAMES
        return PrefectRun(
            run_id=row["id"],
            deployment=self._name_deployment(row.get("deployment_id")),
            status=RunStatus.WAITING if is_waiting else status,
            message=state.get("message") or "",
            parameters=row.get("parameters") or {},
            idempotency_key=row.get("idempotency_key"),
            created_at=row["created"],
            started_at=row.get("start_time"),
            finished_at=row.get("end_time"),
        )


def open_prefect(url: str) -> PrefectApi:
    """The API at a URL, with the user and password in Prefect's own variable where its server asks for one."""
    return PrefectApi(url, auth=read_auth())


def read_auth() -> tuple[str, str] | None:
    """User and password of this process for Prefect; None where it asks for none."""
    user, _, password = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
    return (user, password) if password else None


def _is_id(text: str) -> bool:
    try:
        return bool(UUID(text))
    except ValueError:
        return False


def _read_log(row: dict[str, Any]) -> PrefectLog:
    level = LEVELS.get(row["level"] // 10 * 10, "info")
    return PrefectLog(id=row["id"], at=row["timestamp"], level=level, message=row["message"])
