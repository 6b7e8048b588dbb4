"""Broken specification files are answered with place, finding, remedy; whole ones merge over their class."""

import pathlib

import pytest

from domain.spec_fault import SpecError
from domain.spec_file import resolve_spec

ROOT = pathlib.Path(__file__).parents[2]
BROKEN = pathlib.Path(__file__).parent / "broken_specs"
CLASSES = {file.stem: file.read_text() for file in (ROOT / "environments" / "classes").glob("*.yaml")}
FAULTY = {file.stem: file.read_text() for file in (BROKEN / "classes").glob("*.yaml")}
MINIMAL = "name: blog\nclass: dev\nowner: a@travelblog.example\ncost_centre: TB-100\n"


def answer(text: str, name: str = "environments/blog.yaml") -> str:
    """What a person reads about a broken file."""
    with pytest.raises(SpecError) as caught:
        resolve_spec(text, name, {**CLASSES, **FAULTY})
    return str(caught.value)


def render_answers() -> str:
    """The answers to all broken files, as the golden file has them."""
    files = sorted(BROKEN.glob("*.yaml"))
    return "\n".join(f"# {file.name}\n{answer(file.read_text(), file.name)}\n" for file in files)


def test_broken_specs_are_answered_as_agreed() -> None:
    """Each broken file gives exactly the text of the golden file, which a person has read and approved."""
    command = "from tests.unit.test_spec_file import render_answers as r; print(r(), end='')"
    golden = (BROKEN / "answers.txt").read_text()
    assert golden.count("# ") >= 20
    assert render_answers() == golden, (
        f'run and read: .venv/bin/python -c "{command}" > tests/unit/broken_specs/answers.txt'
    )


@pytest.mark.parametrize("file", sorted((ROOT / "environments").glob("*.yaml")), ids=lambda file: file.stem)
def test_shipped_environments_resolve(file: pathlib.Path) -> None:
    """Each file that we ship is whole, and carries the name of its file."""
    assert resolve_spec(file.read_text(), file.name, CLASSES).name == file.stem


def test_file_wins_over_class_and_services_merge_by_name() -> None:
    """A class gives what the file leaves out, below one service as well; lists are replaced, null takes away."""
    service = """
services:
  web:
    image: registry.example/web:1
    replicas: 1
    requests: {cpu: 100m, memory: 64Mi}
    limits: {cpu: 200m, memory: 64Mi}
maintenance_windows:
  - {schedule: "0 1 * * *", duration: 1h, timezone: UTC}
  - {schedule: "0 2 * * *", duration: 1h, timezone: UTC}
"""
    windows = '\nmaintenance_windows:\n  - {schedule: "0 5 * * *", duration: 30m, timezone: UTC}\n'
    text = MINIMAL + "services:\n  web:\n    replicas: 3\nalarms: null\n" + windows
    spec = resolve_spec(text, "blog.yaml", {"dev": CLASSES["dev"] + service})
    assert (spec.services["web"].replicas, spec.services["web"].limits.cpu_millicores) == (3, 200)
    assert [window.duration_minutes for window in spec.maintenance_windows] == [30]
    assert spec.alarms is None


@pytest.mark.parametrize(
    "choice",
    ["cluster: {context: kind-local}", "capacity: {database: {instance_class: db.m6g.large, storage_gib: 99}}"],
)
def test_choice_of_file_replaces_that_of_class(choice: str) -> None:
    """Where keys exclude each other, a file may take another one than its class without taking the first away."""
    spec = resolve_spec(MINIMAL + choice, "blog.yaml", CLASSES)
    assert "kind-local" in spec.canonical_json() or '"storage_gib":99' in spec.canonical_json()


def test_places_are_those_of_the_key() -> None:
    """A fault has the line and column of its key, counted from 1, and the key's whole path."""
    with pytest.raises(SpecError) as caught:
        resolve_spec(MINIMAL + "network:\n  zones: 5\n", "blog.yaml", CLASSES)
    fault = caught.value.faults[0]
    assert (fault.line, fault.column, fault.key, fault.found) == (6, 3, "network.zones", "5")


@pytest.mark.parametrize(
    "hostile",
    [
        "data: &loop {queue: *loop}",
        f"data: {'[' * 400}{']' * 400}",
        f"data: {'[' * 900}",
        f"budget_usd_monthly: {'9' * 5000}",
        "budget_usd_monthly: .nan",
        r'owner2: "\ud800"',
        r'"\ud800": 1',
        "data: !!python/object:os.system {}",
        "data: {queue: !secret x}",
        "budget_usd_monthly: !!int many",
        "load_balancer: !!bool perhaps",
        "? [a]\n: 1",
        "\x00",
        "#" * 200_000,
        "--- \nname: another",
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "\n".join(f"{b}: &{b} [{', '.join(['*' + a] * 9)}]" for a, b in zip("abcdefg", "bcdefgh", strict=True)),
    ],
    ids=range(16),
)
def test_hostile_text_is_a_fault_like_any_other(hostile: str) -> None:
    """Whatever stands in a file, the answer is a SpecError with a place, and it comes at once."""
    assert answer(MINIMAL + hostile + "\n").startswith("environments/blog.yaml:")


def test_value_of_secret_is_not_repeated() -> None:
    """A secret that somebody wrote into a file by mistake does not stand in the answer."""
    text = MINIMAL + "secrets:\n  key:\n    backend: vault\n    path: a/b\n    value: hunter2\n"
    assert "hunter2" not in answer(text)
    assert "secrets.key.value" in answer(text)
