"""The rules of the house that a linter does not know."""

import ast
import sys
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from deployments.catalog import DEPLOYMENTS, Deployed

ROOT = Path(__file__).parents[2]
FLOWS = sorted(path for path in (ROOT / "flows").glob("*.py") if path.stem != "__init__")
PYTHON = sorted(
    path
    for folder in ("blocks", "console", "deployments", "domain", "flows", "tasks")
    for path in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_a_pipeline_has_its_stem_in_every_folder(path: Path) -> None:
    """A stranger finds the whole feature by one word."""
    stem = path.stem
    siblings = [
        f"domain/{stem}.py",
        f"tests/unit/test_{stem}.py",
        f"tests/flows/test_{stem}.py",
        f"docs/runbooks/{stem}.md",
    ]
    assert [name for name in siblings if not (ROOT / name).exists()] == []
    assert any(deployed.entrypoint.startswith(f"flows.{stem}.") for deployed in DEPLOYMENTS)


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_a_flow_decides_nothing_and_has_no_class(path: Path) -> None:
    """Policy is domain's; a class in a flow's file would be two types when Prefect loads the file a second time."""
    forbidden = (ast.If, ast.IfExp, ast.Match, ast.ClassDef)
    assert [node.lineno for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, forbidden)] == []


@pytest.mark.parametrize("deployed", DEPLOYMENTS, ids=lambda deployed: deployed.name)
def test_a_flow_has_no_hook_for_its_death(deployed: Deployed) -> None:
    """SIGKILL and lost nodes run no hook, and neither does our worker: what is to undo stands in the ledger."""
    module, _, name = deployed.entrypoint.rpartition(".")
    flow = getattr(import_module(module), name)
    assert not flow.on_crashed_hooks
    assert not flow.on_cancellation_hooks


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_a_flow_is_not_named_like_a_module(path: Path) -> None:
    """A path entrypoint puts `flows/` first on `sys.path`, where it would shadow that module."""
    assert path.stem not in sys.stdlib_module_names
    assert path.stem not in packages_distributions()


def test_files_and_functions_stay_readable() -> None:
    """No file beyond 300 lines, no function beyond 50."""
    long = [str(path.relative_to(ROOT)) for path in PYTHON if len(path.read_text().splitlines()) > 300]
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= 50:
                long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert long == []


def test_docker_folder_does_not_shadow_the_docker_sdk() -> None:
    """`docker/` never has an `__init__.py`."""
    assert not (ROOT / "docker" / "__init__.py").exists()


def test_the_domain_reads_no_clock() -> None:
    """Time comes in as a value, so that every decision can be repeated."""
    clocks = ("now", "utcnow", "today")
    found = [
        f"{path.name}:{node.lineno}"
        for path in (ROOT / "domain").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in clocks
    ]
    assert found == []


def _skeletons() -> set[str]:
    """The summaries of all errors that the code raises, with `…` where a value stands."""
    return {
        _skeleton(node.args[0])
        for path in PYTHON
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in ("TemporaryError", "PermanentError", "RefusedError")
        and node.args
    }


def _skeleton(text: ast.expr) -> str:
    match text:
        case ast.Constant(value=str(value)):
            return value
        case ast.JoinedStr(values=values):
            return "".join(_skeleton(value) for value in values)
        case _:
            return "…"


def test_troubleshooting_has_every_error() -> None:
    """Whoever meets an error finds it in docs/troubleshooting.md, by its words."""
    documented = (ROOT / "docs" / "troubleshooting.md").read_text()
    assert sorted(skeleton for skeleton in _skeletons() if skeleton not in documented and skeleton != "…") == []
