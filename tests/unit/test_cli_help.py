"""Every command and every option of `terrarium` says what it does, and every command gives an example."""

from collections.abc import Iterator

import click
import pytest

from console.cli import run, terrarium


def _list_commands(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _list_commands(inner, (*path, name))


COMMANDS = list(_list_commands(terrarium))
ENDS = [(path, command) for path, command in COMMANDS if not isinstance(command, click.Group)]


@pytest.mark.parametrize(
    ("path", "command"), COMMANDS, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_a_command_and_its_options_have_help(path: tuple[str, ...], command: click.Command) -> None:
    """No option without words."""
    assert command.help
    silent = [option.name for option in command.params if isinstance(option, click.Option) and not option.help]
    assert silent == []


@pytest.mark.parametrize(
    ("path", "command"), ENDS, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_a_command_gives_an_example_and_speaks_json(
    capsys: pytest.CaptureFixture[str], path: tuple[str, ...], command: click.Command
) -> None:
    """`--help` ends with a line that can be copied, and each command has `--json`."""
    assert run([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Example: terrarium {' '.join(path)}" in " ".join(shown.split())
    assert "--json" in shown


def test_the_commands_are_those_that_were_promised() -> None:
    """A command is not lost or renamed by accident."""
    assert {" ".join(path) for path, _ in ENDS} == {
        "env plan",
        "env apply",
        "env upgrade",
        "env list",
        "env show",
        "env diff",
        "env destroy",
        "env extend",
        "env unlock",
        "runs list",
        "runs show",
        "runs logs",
        "runs cancel",
        "runs retry",
        "drill run",
        "drill list",
        "drill show",
        "drill approve",
        "failover",
        "approve",
        "hold",
        "unhold",
        "account list",
        "account add",
        "account check",
        "account bootstrap",
        "token create",
        "token list",
        "token revoke",
        "evidence anchor",
        "evidence export",
        "evidence verify",
        "backup control-plane",
        "backup restore",
        "backup verify",
        "backup take",
        "backup list",
        "status",
        "doctor",
    }


def test_the_exit_codes_are_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts are written from `terrarium --help`."""
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"{code} " in shown for code in (0, 1, 2, 3, 4, 64, 124))
