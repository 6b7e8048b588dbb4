"""What the console expects of Prefect: one suite for the fake and for the real server. A class gives it `api`."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from blocks.prefect_api import PrefectRun, RunsApi
from domain.errors import PermanentError
from domain.status import RunStatus

#: A deployment whose runs nobody picks up while the suite runs.
DEPLOYMENT = "plan"


class PrefectContract:
    """The suite. `api` is a fixture of the class that inherits it."""

    def _start(self, api: RunsApi, key: str | None = None) -> PrefectRun:
        return api.start_run(DEPLOYMENT, {"environment": "try"}, key or str(uuid.uuid4()), tags=["environment:try"])

    def test_a_started_run_is_queued_and_can_be_read(self, api: RunsApi) -> None:
        """A run is read as it was started."""
        run = self._start(api)
        found = api.read_run(run.run_id)
        assert found is not None
        assert (found.run_id, found.status, found.deployment) == (run.run_id, RunStatus.QUEUED, DEPLOYMENT)
        assert found.parameters["environment"] == "try"
        assert api.read_runs([run.run_id, str(uuid.uuid4())]).keys() == {run.run_id}

    def test_the_same_key_starts_nothing_twice(self, api: RunsApi) -> None:
        """A call that is repeated answers with the run of the first."""
        key = str(uuid.uuid4())
        assert self._start(api, key).run_id == self._start(api, key).run_id
        assert self._start(api).run_id != self._start(api, key).run_id

    def test_a_run_is_found_by_its_key(self, api: RunsApi) -> None:
        """The key that it was started under; None for another one."""
        key = str(uuid.uuid4())
        run = self._start(api, key)
        found = api.find_run(key)
        assert found is not None
        assert found.run_id == run.run_id
        assert api.find_run(str(uuid.uuid4())) is None

    def test_an_unknown_deployment_is_an_error_with_its_way(self, api: RunsApi) -> None:
        """A deployment that was not registered is named."""
        with pytest.raises(PermanentError, match="no deployment nowhere"):
            api.start_run("nowhere", {}, str(uuid.uuid4()))

    @pytest.mark.parametrize("run_id", ["6f8f0a0e-0000-4000-8000-000000000000", "no-id", "..", ""])
    def test_an_unknown_run_is_none(self, api: RunsApi, run_id: str) -> None:
        """An id that Prefect never gave is no error."""
        assert api.read_run(run_id) is None

    def test_a_queued_run_is_live_until_it_is_cancelled(self, api: RunsApi) -> None:
        """Cancelling a run that nobody has picked up ends it at once; doing it again changes nothing."""
        run, soon = self._start(api), datetime.now(UTC) + timedelta(minutes=1)
        assert run.run_id in [live.run_id for live in api.read_live_runs(soon)]
        api.cancel_run(run.run_id)
        found = api.read_run(run.run_id)
        assert found is not None
        assert found.status is RunStatus.CANCELLED
        assert run.run_id not in [live.run_id for live in api.read_live_runs(soon)]
        api.cancel_run(run.run_id)

    def test_a_run_without_lines_has_no_log(self, api: RunsApi) -> None:
        """An empty log is no error."""
        assert api.read_logs(self._start(api).run_id) == []

    def test_what_never_succeeded_has_no_end(self, api: RunsApi) -> None:
        """A queued run, or a deployment that is not there, is no success."""
        self._start(api)
        assert api.read_last_success(DEPLOYMENT) is None
        assert api.read_last_success("nowhere") is None

    def test_it_is_healthy(self, api: RunsApi) -> None:
        """A server that answers says so."""
        assert api.is_healthy()
