"""What a run that waits for an approval asks of Prefect."""

import uuid

from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.approval import WAITING, show_state


def test_a_server_that_is_away_for_a_moment_ends_no_wait() -> None:
    """Nobody listens there: the state is not shown, and the run goes on."""
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        show_state(str(uuid.uuid4()), WAITING)
