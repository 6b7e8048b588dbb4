"""The console's block on a real Prefect server: the contract of the fake, and what only a real server can show."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import UUID, uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import LogCreate, WorkPoolCreate
from prefect.deployments.runner import RunnerDeployment
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed
from prefect.testing.utilities import prefect_test_harness
from prefect.types._datetime import now

from blocks.prefect_api import PAGE_LIMIT, PrefectApi
from domain.errors import PermanentError, TemporaryError
from domain.status import RunStatus
from tests.prefect_contract import DEPLOYMENT, PrefectContract


@flow
def wait_for_nobody(environment: str, spec_version: int | None = None) -> None:
    """Its deployment is in a pool without a worker, so its runs stay in the queue."""


async def _register() -> None:
    async with get_client() as client:
        await client.create_work_pool(WorkPoolCreate(name="unattended", type="process"))
        deployment = RunnerDeployment.from_flow(wait_for_nobody, name=DEPLOYMENT, work_pool_name="unattended")
        await deployment.aapply(work_pool_name="unattended")


@pytest.fixture(scope="module")
def prefect_url() -> Iterator[str]:
    """A Prefect server with one deployment."""
    with prefect_test_harness(server_startup_timeout=120):
        asyncio.run(_register())
        yield str(PREFECT_API_URL.value())


@pytest.fixture
def api(prefect_url: str) -> PrefectApi:
    """The block on the server."""
    return PrefectApi(prefect_url)


class TestRealPrefect(PrefectContract):
    """The suite that the fake passes too."""

    @pytest.fixture
    def api(self, prefect_url: str) -> PrefectApi:
        """The block on the server."""
        return PrefectApi(prefect_url)


def test_logs_are_read_in_order_and_from_a_time_on(api: PrefectApi) -> None:
    """All pages of a log, oldest first; the time is inclusive."""
    run = api.start_run(DEPLOYMENT, {"environment": "try"}, str(uuid4()))
    start, count = now("UTC"), PAGE_LIMIT + 3
    lines = [
        LogCreate(
            name="flow",
            level=30 if index == 0 else 20,
            message=f"line {index}",
            timestamp=start + timedelta(milliseconds=index),
            flow_run_id=run.run_id,
        )
        for index in range(count)
    ]

    async def write() -> None:
        async with get_client() as client:
            await client.create_logs(lines)

    asyncio.run(write())
    found = api.read_logs(run.run_id)
    assert [line.message for line in found] == [f"line {index}" for index in range(count)]
    assert [found[0].level, found[1].level] == ["warning", "info"]
    assert [line.message for line in api.read_logs(run.run_id, found[-2].at)] == [line.message for line in found[-2:]]


def test_wrong_parameters_are_refused_with_the_reason(api: PrefectApi) -> None:
    """Prefect's own words reach the person."""
    with pytest.raises(PermanentError, match="environment"):
        api.start_run(DEPLOYMENT, {"environment": 3}, str(uuid4()))


def test_an_ended_run_cannot_be_cancelled(api: PrefectApi) -> None:
    """What completed stays completed, and the person is told."""
    run = api.start_run(DEPLOYMENT, {"environment": "try"}, str(uuid4()))

    async def complete() -> None:
        async with get_client() as client:
            await client.set_flow_run_state(UUID(run.run_id), Completed(), force=True)

    asyncio.run(complete())
    with pytest.raises(PermanentError, match="cannot be cancelled"):
        api.cancel_run(run.run_id)
    found = api.read_run(run.run_id)
    assert found is not None
    assert found.status is RunStatus.SUCCEEDED


def test_a_run_of_later_is_not_live(api: PrefectApi) -> None:
    """What a schedule made for later is left out, so that a list of runs is not full of it."""
    run = api.start_run(DEPLOYMENT, {"environment": "try"}, str(uuid4()))
    assert api.read_live_runs(run.created_at - timedelta(minutes=1)) == []


def test_a_busy_server_is_asked_again() -> None:
    """503 is tried again until it answers; a run is started under a key, so nothing is started twice."""
    answers = [503, 503, 404]

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer the next code."""
            self.send_response(answers.pop(0))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Busy)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        assert PrefectApi(f"http://127.0.0.1:{server.server_address[1]}/api").read_run(str(uuid4())) is None
        assert answers == []
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_server_that_is_away_is_a_temporary_error() -> None:
    """Once the patience is over, the error says where it asked and how to start it."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        gone = PrefectApi(f"http://127.0.0.1:{unused.getsockname()[1]}/api", patience_seconds=0.3)
        with pytest.raises(TemporaryError, match="does not answer") as caught:
            gone.read_run(str(uuid4()))
        assert "make up" in caught.value.resolution
        assert not gone.is_healthy()
