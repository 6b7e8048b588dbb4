"""`/metrics` on a real ledger, read as Prometheus reads it; the alert rules, checked by promtool."""

import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from blocks.ledger import Ledger
from domain.errors import TemporaryError
from domain.status import EnvironmentStatus, Operation, RunStatus
from tests.api_face import Face, open_face
from tests.integration.conftest import report_missing
from tests.postgres_server import APP_ROLE, PostgresServer

MONITORING = Path(__file__).parents[2] / "infra" / "monitoring"


@pytest.fixture
def face(ledger: Ledger) -> Iterator[Face]:
    """An API on an empty ledger."""
    with open_face(ledger) as face:
        yield face


@pytest.fixture(scope="module")
def promtool() -> str:
    """Prometheus's own checker; a missing one is a failure in CI."""
    return shutil.which("promtool") or report_missing("promtool is not there: apt-get install prometheus")


def scrape(face: Face) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by its name and labels."""
    answer = face.client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def runs(flow: str, outcome: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The counter of a flow's runs with an outcome."""
    return "terrarium_runs_total", (("flow", flow), ("outcome", outcome))


def test_an_empty_ledger_has_its_series(face: Face) -> None:
    """Counts begin at 0, so that a ratio has a value before the first failure; what never was has no age."""
    found = scrape(face)
    assert found[runs("provision", "failed")] == 0
    assert found["terrarium_leases", ()] == found["terrarium_queue_runs", ()] == 0
    assert found["terrarium_up", (("part", "ledger"),)] == found["terrarium_up", (("part", "prefect"),)] == 1
    assert ("terrarium_sweep_age_seconds", ()) not in found
    assert ("terrarium_anchor_age_seconds", ()) not in found


def test_runs_are_counted_by_flow_and_outcome(face: Face) -> None:
    """With their durations in buckets, those that go on, and the environments by status."""
    face.make()
    ledger = face.ledger
    ledger.begin_run("failed", "try", Operation.TEARDOWN, "teardown", 1, None, "ada", "host", 1)
    ledger.finish_run("failed", RunStatus.FAILED, EnvironmentStatus.DEGRADED, error="no")
    ledger.begin_run("on", "other", Operation.PROVISION, "provision", None, None, "ada", "host", 1)
    found = scrape(face)
    assert found[runs("provision", "succeeded")] == found[runs("teardown", "failed")] == 1
    assert found["terrarium_runs_running", (("flow", "provision"),)] == 1
    labels = (("flow", "provision"), ("outcome", "succeeded"))
    assert found["terrarium_run_duration_seconds_count", labels] == 1
    assert found["terrarium_run_duration_seconds_bucket", (*labels[:1], ("le", "7200.0"), *labels[1:])] == 1
    assert 0 <= found["terrarium_run_duration_seconds_sum", labels] < 7200
    assert found["terrarium_environments", (("status", "degraded"),)] == 1


def test_leases_and_ages_are_told(postgres: PostgresServer, ledger_database: str, ledger: Ledger, face: Face) -> None:
    """Who holds an environment and is silent, what waits in the queue, the last sweep and the last anchor."""
    with psycopg.connect(postgres.url(ledger_database, APP_ROLE)) as connection:
        taken = "INSERT INTO ledger.lease VALUES ('try', 'run-1', now() - interval '5 minutes')"
        beat = "INSERT INTO ledger.liveness VALUES ('run-1', 'try', 'h', 1, 1, 'b', 'n', now() - interval '1 minute')"
        connection.execute(taken)
        connection.execute(beat)
    face.create()
    ledger.add_vault_object("anchor", "production", "s3://v/a", "a" * 64, ledger.read_head(), "schedule")
    face.prefect._deployments.add("housekeeping")
    sweep = face.prefect.start_run("housekeeping", {}, str(uuid.uuid4()))
    face.prefect.enter(sweep.run_id, RunStatus.SUCCEEDED)
    found = scrape(face)
    lease = (("environment", "try"), ("flow", ""))
    assert found["terrarium_leases", ()] == 1
    assert timedelta(minutes=4).seconds < found["terrarium_lease_age_seconds", lease]
    assert 50 < found["terrarium_lease_silence_seconds", lease] < found["terrarium_lease_age_seconds", lease]
    assert found["terrarium_queue_runs", ()] == 1
    assert 0 <= found["terrarium_queue_age_seconds", ()] < 600
    assert 0 <= found["terrarium_sweep_age_seconds", ()] < 600
    assert -1 < found["terrarium_anchor_age_seconds", ()] < 600


def test_a_part_that_is_away_takes_only_its_own(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect does not answer: `terrarium_up` says so, and the ledger's metrics are there."""

    def fail(_: object) -> None:
        raise TemporaryError("Prefect is away.", "Wait.")

    monkeypatch.setattr(face.prefect, "read_live_runs", fail)
    found = scrape(face)
    assert found["terrarium_up", (("part", "prefect"),)] == 0
    assert ("terrarium_queue_runs", ()) not in found
    assert found[runs("provision", "failed")] == 0


def test_the_rules_are_right(promtool: str) -> None:
    """promtool reads them, and each alert fires when it should and not before."""
    for arguments in (("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml")):
        done = subprocess.run([promtool, *arguments], cwd=MONITORING, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    named = set(re.findall(r"alert: (\w+)", (MONITORING / "alerts.yaml").read_text()))
    assert named == set(re.findall(r"alertname: (\w+)", (MONITORING / "alerts_test.yaml").read_text()))


def test_the_rules_speak_of_metrics_that_are_there(face: Face) -> None:
    """Every name in a rule is one that `/metrics` or the watcher's page has, or has once there is something to tell."""
    files = ("console/routes/metrics.py", "deployments/local/watch_page.py")
    source = "".join((Path(__file__).parents[2] / file).read_text() for file in files)
    exported = set(re.findall(r'"(terrarium_\w+)"', source)) | {"terrarium_runs_total"}
    assert set(re.findall(r"\b(terrarium_\w+)", (MONITORING / "alerts.yaml").read_text())) - exported == set()
    assert {name for name, _ in scrape(face)} <= exported | {"terrarium_run_duration_seconds_bucket"}


def test_promtool_likes_what_is_scraped(promtool: str, face: Face) -> None:
    """Names, types and helps follow Prometheus's conventions."""
    face.make()
    text = face.client.get("/metrics").content
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
