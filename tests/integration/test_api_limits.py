"""What a stranger's client may do: repeat a call, call much, send much. Nothing is lost and nothing is doubled."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from httpx import Client, Response

from blocks.ledger import Ledger
from tests.api_face import TRY, Face, open_face


@pytest.fixture
def face(ledger: Ledger) -> Iterator[Face]:
    """An API on an empty ledger."""
    with open_face(ledger) as face:
        yield face


def create(client: Client, key: str, spec: str = TRY, **fields: Any) -> Response:
    """Ask for an environment under a key."""
    body = {"spec": spec, **fields}
    return client.post("/api/environments", json=body, headers={"Idempotency-Key": key})


def test_the_same_call_again_starts_nothing(face: Face) -> None:
    """The same run, its address and no new version, also after another spec came between."""
    first = create(face.client, "k1")
    run = face.read(first, 202)
    face.create(TRY.replace("TB-100", "TB-200"))
    again = create(face.client, "k1")
    assert face.read(again, 202)["run_id"] == run["run_id"]
    assert again.headers["Location"] == first.headers["Location"]
    assert len(face.prefect.runs) == 2
    assert face.ledger.read_spec("try").version == 2


def test_a_call_that_prefect_did_not_hear_is_repeated_as_it_was(face: Face) -> None:
    """503, then the same call under its key: it starts with the spec of then, whatever was stored meanwhile."""
    face.make()
    ways: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/api/environments", {"json": {"spec": TRY.replace("TB-100", "TB-1")}}),
        ("POST", "/api/environments/try/plan", {}),
        ("POST", "/api/environments/try/apply", {"json": {}}),
        ("DELETE", "/api/environments/try", {}),
    ]
    for number, (method, path, call) in enumerate(ways):
        headers = {"Idempotency-Key": path + method}
        face.prefect.is_away = True
        face.read(face.client.request(method, path, headers=headers, **call), 503)
        face.prefect.is_away = False
        asked = face.ledger.read_spec("try").version
        face.make(TRY.replace("TB-100", f"TB-20{number}"))
        run = face.read(face.client.request(method, path, headers=headers, **call), 202)
        request = face.ledger.read_request(face.prefect.runs[run["run_id"]].idempotency_key or "")
        assert request is not None
        assert request.spec_version == asked
        assert method == "DELETE" or run["spec_version"] == asked
        assert face.ledger.read_spec("try").version == asked + 1


def test_a_key_with_another_call_is_an_error(face: Face) -> None:
    """422, and nothing is started: another body, another address."""
    face.read(create(face.client, "k1"), 202)
    assert face.read(create(face.client, "k1", plan_only=True), 422)["error"]["kind"] == "conflict"
    other = face.client.post("/api/environments/try/plan", headers={"Idempotency-Key": "k1"})
    assert face.read(other, 422)["error"]["kind"] == "conflict"
    assert len(face.prefect.runs) == 1


def test_a_key_is_its_tokens_own(face: Face) -> None:
    """Two people who choose the same key do not meet."""
    mine = face.read(create(face.client, "k1"), 202)
    theirs = face.read(create(face.give_token("ada"), "k1"), 202)
    assert mine["run_id"] != theirs["run_id"]


def test_every_way_to_start_a_run_takes_a_key(face: Face) -> None:
    """Plan, apply, destroy and retry too."""
    made = face.make()
    for method, path in (
        ("POST", "/api/environments/try/plan"),
        ("POST", "/api/environments/try/apply"),
        ("POST", f"/api/runs/{made['run_id']}/retry"),
        ("DELETE", "/api/environments/try"),
    ):
        call = {"json": {}} if path.endswith("apply") else {}
        answers = [face.client.request(method, path, headers={"Idempotency-Key": path}, **call) for _ in range(2)]
        ids = {face.read(answer, 202)["run_id"] for answer in answers}
        assert len(ids) == 1, path
    assert len(face.prefect.runs) == 5


def test_a_refusal_is_repeated_as_it_was(face: Face) -> None:
    """A protected environment: the second call answers with the refused run of the first."""
    face.make((TRY + "protection:\n  teardown: refused\nttl: null\n").replace("sandbox", "dev"))
    answers = [face.client.delete("/api/environments/try", headers={"Idempotency-Key": "k"}) for _ in range(2)]
    first, second = (face.read(answer, 409) for answer in answers)
    assert first == second
    assert first["run"]["status"] == "refused"


def test_a_call_that_came_no_further_than_the_ledger_is_finished(face: Face) -> None:
    """The API died between the request and Prefect: the repeated call starts the run that was asked for."""
    run = face.read(create(face.client, "k1"), 202)
    lost = face.prefect.runs.pop(run["run_id"])
    again = face.read(create(face.client, "k1"), 202)
    assert face.prefect.runs[again["run_id"]].idempotency_key == lost.idempotency_key


def test_many_calls_at_once_are_neither_lost_nor_doubled(face: Face) -> None:
    """100 creations, 16 at a time, each of them twice: 100 runs, 100 environments, one version each."""
    names = [f"try-{number}" for number in range(100)] * 2

    def ask(name: str) -> tuple[int, str, str]:
        answer = create(face.client, name, TRY.replace("name: try", f"name: {name}"))
        return answer.status_code, name, answer.json().get("run_id", "")

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, names))
    assert Counter(code for code, _, _ in answers) == {202: 200}
    assert len({run_id for _, _, run_id in answers}) == 100
    assert len({(name, run_id) for _, name, run_id in answers}) == 100
    assert len(face.prefect.runs) == 100
    assert Counter(event.kind for event in face.ledger.list_events(limit=1000)) == {
        "spec": 100,
        "request": 100,
        "token": 1,
    }


def test_one_key_many_times_at_once_is_one_run(face: Face) -> None:
    """Callers who race with the same key get the same run."""
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: create(face.client, "k1"), range(32)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["run_id"] for answer in answers}) == len(face.prefect.runs) == 1


def test_who_calls_too_often_is_told_when_to_come_back(ledger: Ledger) -> None:
    """429 with Retry-After for this token alone; another one is not slowed."""
    with open_face(ledger, api_calls_per_minute=5) as face:
        codes = [face.client.get("/api/runs").status_code for _ in range(6)]
        assert codes == [200] * 5 + [429]
        answer = face.client.get("/api/runs")
        assert face.read(answer, 429)["error"]["kind"] == "too_many"
        assert 0 < int(answer.headers["Retry-After"]) <= 120
        assert face.give_token("ada").get("/api/runs").status_code == 200


def test_who_guesses_tokens_is_slowed(ledger: Ledger) -> None:
    """Calls without a valid token are counted by address, those with one go on."""
    with open_face(ledger, api_calls_per_minute=5) as face:
        stranger = face.call_as("guess")
        assert [stranger.get("/api/runs").status_code for _ in range(7)] == [401] * 5 + [429] * 2
        assert face.client.get("/api/runs").status_code == 200


def test_a_body_that_is_too_large_is_not_read(ledger: Ledger) -> None:
    """413, whether its length was told or it came in pieces; a stranger gets 401 for it."""
    with open_face(ledger, api_body_kib=1) as face:
        large = b'{"spec": "' + b"x" * 2000 + b'"}'
        json_type = {"Content-Type": "application/json"}
        told = face.client.post("/api/environments", content=large, headers=json_type)
        assert face.read(told, 413)["error"]["kind"] == "too_large"
        pieces = (large[at : at + 100] for at in range(0, len(large), 100))
        assert face.client.post("/api/environments", content=pieces, headers=json_type).status_code == 413
        keyed = {"Idempotency-Key": "k"}
        assert face.client.post("/api/environments/try/plan", content=large, headers=keyed).status_code == 413
        assert face.call_as("guess").post("/api/environments", content=large).status_code == 401


def test_an_unknown_query_parameter_is_an_error(face: Face) -> None:
    """A misspelt filter does not answer with everything; the allowed ones are told."""
    answer = face.client.get("/api/runs?enviroment=dev")
    assert "query.enviroment: Not known here; there is environment, limit" in face.read(answer, 422)["error"]["summary"]
    assert face.client.get("/api/runs?environment=dev").status_code == 200
