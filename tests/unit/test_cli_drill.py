"""`terrarium drill` against an API that answers what the test wrote down."""

import json
from typing import Any

import pytest

from console.cli import run
from tests.unit.test_cli import ScriptedApi, api, golden

__all__ = ["api"]  # the fixture

DRILL: dict[str, Any] = golden("drills")["drills"][0]
RUN_ID = DRILL["run_id"]
NOTHING = dict.fromkeys(("rto_seconds", "rpo_rows", "in_doubt_rows", "diverged_rows_after_failback"))
ENDS = {
    "passed": ({}, "succeeded", 0),
    "failed": ({}, "succeeded", 3),
    "incomplete": ({**NOTHING, "not_measured": {"rto_seconds": "no client wrote"}}, "succeeded", 3),
    "refused": ({**NOTHING, "not_measured": {}}, "refused", 2),
    "crashed": ({**NOTHING, "not_measured": {}}, "crashed", 1),
}


@pytest.mark.parametrize("status", ENDS)
@pytest.mark.parametrize("flags", [[], ["--json"]], ids=["text", "json"])
def test_a_drill_ends_with_its_code(
    api: ScriptedApi,
    capsys: pytest.CaptureFixture[str],
    status: str,
    flags: list[str],
) -> None:
    """0 passed, 3 where it failed or something was not measured, which is named; a refusal and a crash as ever."""
    changes, run_status, code = ENDS[status]
    ended = golden("run", run_id=RUN_ID, operation="drill", status=run_status)
    api.on("POST", "/api/environments/dev/drills", ended, code=202)
    api.on("GET", f"/api/runs/{RUN_ID}", ended)
    api.on("GET", f"/api/drills/{RUN_ID}", DRILL | changes | {"status": status})
    assert run(["drill", "run", "dev", *flags]) == code
    told = capsys.readouterr().out
    if flags:
        assert json.loads(told)["status"] == status
    else:
        assert ("not measured: rto_seconds: no client wrote" in told) is (status == "incomplete")
