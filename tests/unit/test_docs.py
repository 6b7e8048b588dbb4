"""What the pages name is there: commands and their options, make targets, links, files and what they hold."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import click
import pytest

from blocks.settings import Settings
from blocks.supervisor import Stack
from console.cli import terrarium
from deployments.local.farewell import write_farewell
from tests.readme import read_blocks, read_commands, read_files
from tests.unit.test_house import PYTHON, _skeleton

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FOLDERS = "blocks|console|deployments|docker|docs|domain|environments|flows|infra|tasks|tests"
LINK = re.compile(r"\]\(([^)#\s]+)?(?:#([\w-]+))?\)")
FILE = re.compile(rf"`((?:{FOLDERS})/[\w./*-]*)(?:::(\w+))?`")
COMMAND = re.compile(r"(?:^\$ |^|`)(?:\.venv/bin/)?terrarium ([^`\n]+)", re.MULTILINE)
TARGET = re.compile(r"(?:^|[`;(] ?|\$ )(?:TERRARIUM_\w+=\S+ )?make ([a-z]+)", re.MULTILINE)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


pages = pytest.mark.parametrize("page", PAGES, ids=_name)


@pages
def test_commands_exist_with_their_options(page: Path) -> None:
    """Every `terrarium …` of a page is a command, and takes the options that are given to it."""
    faults = [f"{line}: {fault}" for line in COMMAND.findall(page.read_text()) for fault in _check(_split(line))]
    assert faults == []


@pytest.mark.parametrize("path", PYTHON, ids=_name)
def test_commands_that_a_message_names_exist(path: Path) -> None:
    """Every `terrarium …` that an error sends its reader to is a command, and takes those options."""
    texts = [_skeleton(node) for node in ast.walk(ast.parse(path.read_text())) if _is_text(node)]
    faults = [f"{line}: {fault}" for text in texts for line in COMMAND.findall(text) for fault in _check(_split(line))]
    assert faults == []


def _is_text(node: ast.AST) -> TypeGuard[ast.expr]:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _split(line: str) -> list[str]:
    """The words of a command line up to what the shell takes from it."""
    return shlex.split(re.split(r"[;|>]", line)[0], comments=True)


def _check(words: list[str]) -> Iterator[str]:
    command: click.Command = terrarium
    while words and isinstance(command, click.Group) and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    if isinstance(command, click.Group) and words and not words[0].startswith("-"):
        yield f"there is no command {words[0]}"
    known = {"--help", "-h", "--version"} | {option for parameter in command.params for option in parameter.opts}
    yield from (f"there is no option {word}" for word in words if word.startswith("-") and word not in known)


@pages
def test_make_targets_exist(page: Path) -> None:
    """Every `make …` of a page is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(TARGET.findall(page.read_text())) - targets == set()


@pages
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page is a file, and its anchor is a heading there."""
    broken = []
    for target, anchor in LINK.findall(page.read_text()):
        if re.match(r"\w+:", target):
            continue
        path = (page.parent / target) if target else page
        if not path.exists() or (anchor and anchor not in _list_anchors(path)):
            broken.append(f"{target}#{anchor}")
    assert broken == []


def _list_anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_files_exist_and_hold_what_is_named(page: Path) -> None:
    """Every `folder/file` of a page is there, and `file::name` is defined in it. Capitals stand for any name."""
    faults = []
    for path, name in FILE.findall(page.read_text()):
        if re.search(r"[A-Z]{3,}", path):
            continue
        found = sorted(ROOT.glob(path.rstrip("/")))
        defines = rf"^\s*(def|class) {name}\b|^{name}\b.*="
        if not found or (name and not re.search(defines, found[0].read_text(), re.MULTILINE)):
            faults.append(f"{path}::{name}")
    assert faults == []


def test_the_readme_is_read() -> None:
    """The README has commands, files and answers: a change of its form must not empty the tests of it."""
    commands = read_commands()
    assert len(commands) > 10
    assert sum(bool(command.answer) for command in commands) > 5
    assert set(read_files()) == {"try.yaml", "broken.yaml"}


def test_the_readme_shows_the_end_of_make_up() -> None:
    """The addresses that the README shows after `make up` are those that it tells."""
    settings = Settings.model_construct()
    stack = Stack.model_construct(
        state_dir=settings.state_dir,
        prefect_url=settings.prefect_url,
        api_url=settings.api_url,
        emulator_url=settings.emulator_url,
    )
    shown = next(block.text for block in read_blocks() if block.text.lstrip().startswith("Prefect's UI"))
    assert shown.splitlines() == write_farewell(stack).splitlines()[1 : len(shown.splitlines()) + 1]


def test_troubleshooting_has_no_error_of_yesterday() -> None:
    """Every heading with a `…` is a text that the code still has; test_house asks for the other direction."""
    texts = {_skeleton(node) for path in PYTHON for node in ast.walk(ast.parse(path.read_text())) if _is_text(node)}
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    headings = [heading for heading in re.findall(r"^#+ (.+)$", page, re.MULTILINE) if "…" in heading]
    assert headings
    assert [heading for heading in headings if not any(heading in text for text in texts)] == []


def _is_text(node: ast.AST) -> TypeGuard[ast.expr]:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
