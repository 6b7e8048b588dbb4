"""What a run tells of itself: spans of it and of its steps, and log lines that name run, environment and step."""

import json
import uuid
from pathlib import Path

from blocks.logs import list_variables
from tests.flow_world import FlowProcess, World
from tests.trace_receiver import receive_traces

STEPS = {"apply_infrastructure", "verify_infrastructure", "publish_report"}


def test_a_run_is_a_trace_and_its_lines_say_what_they_are_of(world: World, name: str, tmp_path: Path) -> None:
    """One trace with the run's id, a span for each step below it; each line of a step has its name."""
    version, log = world.add_spec(name), tmp_path / "log"
    with receive_traces() as receiver:
        telling = {"TERRARIUM_OTLP_ENDPOINT": receiver.url, "TERRARIUM_LOG_FORMAT": "json"} | list_variables()
        process = FlowProcess(world.stack.environment | telling, log)
        try:
            answer = process.ask("run", "provision", {"environment": name, "spec_version": version}, None)
        finally:
            process.kill()
    assert answer["state"] == "COMPLETED", answer
    own = [span for span in receiver.spans if span.trace_id.hex() == uuid.UUID(answer["run_id"]).hex]
    spans = {span.name: span for span in own}
    assert spans.keys() >= STEPS | {f"provision {name}"}
    assert {spans[step].parent_span_id for step in STEPS} == {spans[f"provision {name}"].span_id}
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    of_run = [line for line in lines if line.get("run") == answer["run_id"]]
    assert {line["step"] for line in of_run if "step" in line} >= {"apply_infrastructure"}
    assert {line["environment"] for line in of_run if "environment" in line} == {name}
