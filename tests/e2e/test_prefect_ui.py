"""A person in Prefect's UI: starts a provision from the generated form and watches it, in a real browser."""

import pytest

from tests.e2e.browser import Window
from tests.e2e.user import User

ENVIRONMENT = "sandbox"
STEPS = ("init_terraform", "plan_infrastructure", "apply_infrastructure", "verify_infrastructure", "publish_report")
COST_CENTRE = "TB-100"
RUN_SECONDS = 240

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("lifetime")]  # which lives meanwhile


def test_a_provision_from_the_form(user: User, window: Window) -> None:
    """The form says what to type; the run ends well; its steps, progress and report are there, in both UIs.

    It is the AWS stack: what stands on the account's side is asked by the run itself. No page calls outside.
    """
    page = window.page
    page.goto(window.url)  # the dashboard of the UI that Prefect prefers
    window.press("Deployments")
    page.get_by_placeholder("Search deployments").fill("provision")  # they fill more than a page
    window.press("provision")
    page.get_by_role("button", name="Run", exact=True).click()
    window.press("Custom run")
    window.shows("Name of the environment, such as sandbox")
    page.get_by_label("environment", exact=True).fill(ENVIRONMENT)
    window.press("Submit")
    window.press("View run")
    window.shows(f"provision {ENVIRONMENT}")
    run_id = page.url.partition("/runs/flow-run/")[2][:36]
    page.get_by_role("tab", name="Artifacts").click()
    window.shows_in_time(f"progress-{ENVIRONMENT}", RUN_SECONDS)
    window.shows_in_time("Completed", RUN_SECONDS)

    run = user.read_run(run_id)
    assert (run["status"], run["actor"], run["environment"]) == ("succeeded", "prefect-ui", ENVIRONMENT)
    assert user.read_environment(ENVIRONMENT)["status"] == "ready"
    _look_at_run(window, run_id)
    assert window.hosts == {window.url.removeprefix("http://")}
    user.terrarium("env", "destroy", ENVIRONMENT, "--yes", "--no-wait")


def _look_at_run(window: Window, run_id: str) -> None:
    """Steps and artifacts as each UI shows them, and the report itself."""
    for ui in ("v1", "v2"):
        window.open(f"/runs/flow-run/{run_id}", ui)
        window.press("Task Runs")
        for step in STEPS:
            window.shows(step)
        window.press("Artifacts")
        window.shows(f"progress-{ENVIRONMENT}")
        window.shows(f"report-{ENVIRONMENT}")
        window.open_artifact(run_id, f"report-{ENVIRONMENT}", ui)
        window.shows("Critical path")
        window.shows(COST_CENTRE)
