"""The README as data: its fenced blocks, and the commands in them with what they are said to answer."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line of the README where it begins."""

    language: str
    text: str
    line: int


@dataclass
class Command:
    """A command of a console block, the lines that it is shown to print, and the JSON that it is shown to answer."""

    text: str
    line: int
    shown: list[str] = field(default_factory=list)
    answer: str = ""


def read_blocks() -> list[Block]:
    """All fenced blocks, in order."""
    text = README.read_text()
    return [Block(found[1], found[2], text.count("\n", 0, found.start()) + 1) for found in FENCE.finditer(text)]


def read_files() -> dict[str, str]:
    """The YAML files that the README asks to save, by the name in their first line."""
    texts = [block.text for block in read_blocks() if block.language == "yaml"]
    return {text.splitlines()[0].removeprefix("# "): text for text in texts}


def read_commands() -> list[Command]:
    """All commands of console blocks in order; a json block is the answer of the command before it."""
    commands: list[Command] = []
    for block in read_blocks():
        if block.language == "console":
            commands += _read_console(block)
        elif block.language == "json":
            commands[-1].answer = block.text
    return commands


def _read_console(block: Block) -> Iterator[Command]:
    command = None
    for number, line in enumerate(block.text.replace("\\\n", "").splitlines(), block.line + 1):
        if line.startswith("$ "):
            if command:
                yield command
            command = Command(line.removeprefix("$ "), number)
        elif command:
            command.shown.append(line)
    if command:
        yield command
