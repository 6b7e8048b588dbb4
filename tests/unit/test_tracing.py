"""A trace for each run, received by OTLP's own messages; without an endpoint nothing is even imported."""

import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest

from blocks.settings import CHECKOUT, read_settings
from blocks.tracing import trace_run, trace_step
from domain.errors import PermanentError
from tests.trace_receiver import Receiver, receive_traces

RUN = str(uuid.uuid4())


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A collector that the settings name."""
    with receive_traces() as receiver:
        monkeypatch.setenv("TERRARIUM_OTLP_ENDPOINT", receiver.url)
        read_settings.cache_clear()
        yield receiver
        monkeypatch.undo()
        read_settings.cache_clear()


def test_a_run_and_its_steps_are_one_trace(receiver: Receiver) -> None:
    """The trace's id is the run's; steps stand below it, and all is sent when the run ends."""
    with trace_run("provision dev", RUN, environment="dev"), trace_step("apply_infrastructure"):
        pass
    spans = {span.name: span for span in receiver.spans}
    assert spans.keys() == {"provision dev", "apply_infrastructure"}
    assert {span.trace_id.hex() for span in receiver.spans} == {uuid.UUID(RUN).hex}
    assert spans["apply_infrastructure"].parent_span_id == spans["provision dev"].span_id
    assert {item.key: item.value.string_value for item in spans["provision dev"].attributes}["environment"] == "dev"


def fail() -> None:
    """A run whose step fails."""
    with trace_run("provision dev", RUN), trace_step("apply_infrastructure"):
        raise PermanentError("no", "way")


def test_a_failure_is_in_its_spans(receiver: Receiver) -> None:
    """Both are marked, and the error goes on as it was."""
    with pytest.raises(PermanentError):
        fail()
    assert [span.status.code for span in receiver.spans] == [2, 2]


def test_a_receiver_that_is_away_fails_no_run(receiver: Receiver) -> None:
    """What could not be sent is lost, the run is not."""
    receiver.server.server_close()
    with trace_run("provision dev", RUN):
        pass
    assert receiver.spans == []


def test_nothing_is_imported_without_an_endpoint() -> None:
    """The SDK costs a run its start only where somebody wants traces."""
    program = (
        "import sys\nfrom blocks.tracing import trace_run, trace_step\n"
        f"with trace_run('x', '{RUN}'), trace_step('y'): pass\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
