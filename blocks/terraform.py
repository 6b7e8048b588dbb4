"""Terraform for one work folder: python-terraform, mended where it is broken with Terraform 1.11.

Mended: output streams while the command runs, a timeout, an interrupt that lets Terraform write its state, an
environment of our own, exit code 2, `apply` of a saved plan, one named output, `force-unlock`, errors with a way out.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import python_terraform
from python_terraform import IsFlagged

from blocks.child import OutOfTimeError, run_child
from blocks.state_lock import LockRecorder
from blocks.terraform_binary import user_cache_dir, write_cli_config
from blocks.terraform_stream import (
    ApplyOutcome,
    Message,
    PlanOutcome,
    read_apply,
    read_errors,
    read_message,
    read_plan,
    translate_errors,
)
from domain.errors import PermanentError, TemporaryError

OnEvent = Callable[[Message], None]
GRACE_SECONDS = 60.0
CLI_CONFIG = "terraform.rc"
RESCUED_STATE = "errored.tfstate"
NOT_TO_IMPORT = ("Resource already managed by Terraform", "Cannot import non-existent remote object")


class Terraform(python_terraform.Terraform):  # type: ignore[misc]  # python-terraform has no types
    """Commands on one copy of a stack. `label` names the environment in errors.

    `environment` is the account's (AwsAccount.environment()): the child sees it, PATH, HOME, TMPDIR and our own TF_*.
    A command that is interrupted, or takes longer than `timeout_seconds`, gets `grace_seconds` to write its state
    (blocks/child.py). Call it from one thread.
    """

    def __init__(
        self,
        work_dir: Path,
        label: str,
        *,
        program: Path,
        environment: Mapping[str, str],
        mirror: Path | None = None,
        locks: LockRecorder | None = None,
        timeout_seconds: float | None = None,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._root = self.folder = work_dir
        self.label = label
        self._mirror = mirror
        self._locks = locks or LockRecorder(work_dir / "holders", lambda: None)
        self._timeout_seconds = timeout_seconds
        self._grace_seconds = grace_seconds
        self._environment = _clean_environment(environment, work_dir / CLI_CONFIG, has_mirror=mirror is not None)
        super().__init__(working_dir=str(work_dir), terraform_bin_path=str(program), is_env_vars_included=False)

    def __getattr__(self, name: str) -> Any:
        """Only `<command>_cmd` is a command: the base class runs Terraform for any attribute anybody looks up."""
        if name.startswith("_") or not name.endswith("_cmd"):
            raise AttributeError(name)
        return super().__getattr__(name)

    def enter(self, stack_dir: Path) -> None:
        """Work on the copy of this stack that `prepare` made in the work folder, perhaps in another process."""
        self.folder = self._root / stack_dir.parent.name / stack_dir.name
        self.working_dir = str(self.folder)

    def prepare(self, stack_dir: Path, inputs: Mapping[str, Any], backend: Mapping[str, Any]) -> None:
        """Put a copy of the stack, its modules, inputs and backend settings into the work folder (mode 0700).

        A stack refers to its modules as `../../modules`, so the copy keeps that shape: the work folder becomes
        `<work_dir>/stacks/<name>`. `init` has to follow. PermanentError where a state that could not be written still
        waits there.
        """
        root = self._root
        self.enter(stack_dir)
        refuse_rescued_state(self.label, self.folder)
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for source in (stack_dir, stack_dir.parents[1] / "modules"):
            _copy_hcl(source, root / source.relative_to(stack_dir.parents[1]))
        (self.folder / "terraform.tfvars.json").write_text(json.dumps(inputs, indent=1, sort_keys=True))
        (self.folder / "backend.json").write_text(json.dumps(backend, indent=1, sort_keys=True))
        write_cli_config(root / CLI_CONFIG, self._mirror)

    def init(self, *, has_local_state: bool = False) -> None:
        """Connect the state and link the provider. A local state of the folder can move to the backend (bootstrap)."""
        if has_local_state:  # which Terraform does not combine with -json
            options = {"input": False, "backend_config": "backend.json"}
            self._read("init", **options, migrate_state=IsFlagged, force_copy=IsFlagged)
        else:
            self._stream("init", json=IsFlagged, input=False, backend_config="backend.json", reconfigure=IsFlagged)

    def plan(self, out: Path, *, destroy: bool = False, on_event: OnEvent | None = None) -> PlanOutcome:
        """Plan and save the plan to `out`. Read from the stream alone: `show -json` would cost another 2.5 seconds."""
        options = {"destroy": IsFlagged} if destroy else {}
        returncode, messages = self._stream(
            "plan",
            on_event=on_event,
            may_return=(0, 2),
            json=IsFlagged,
            detailed_exitcode=IsFlagged,
            input=False,
            out=str(out.absolute()),
            **options,
        )
        return read_plan(messages, has_changes=returncode == 2)

    def show(self, plan_file: Path) -> list[dict[str, Any]]:
        """The `resource_changes` of a saved plan, with their values. Costs 2.5 s: it starts the provider again."""
        shown = json.loads(self._read("show", str(plan_file.absolute()), json=IsFlagged))
        return list(shown.get("resource_changes", ()))

    def apply(self, plan_file: Path, on_event: OnEvent | None = None) -> ApplyOutcome:
        """Apply a saved plan; `on_event` gets each message of the stream while it runs.

        The plan's inputs are in the plan: no question is asked. An exception of `on_event` interrupts Terraform, which
        then finishes what is in flight and writes its state. `apply.jsonl` in the folder keeps the last one's stream.
        """
        _, messages = self._stream("apply", str(plan_file.absolute()), on_event=on_event, json=IsFlagged, input=False)
        return read_apply(messages)

    def destroy(self, on_event: OnEvent | None = None) -> ApplyOutcome:
        """Plan the removal of everything in the state and apply it."""
        plan_file = self.folder / "destroy.tfplan"
        self.plan(plan_file, destroy=True, on_event=on_event)
        return self.apply(plan_file, on_event)

    def outputs(self) -> dict[str, Any]:
        """All outputs by name, sensitive ones too. Costs 0.6 s; `apply` answers with them already."""
        return {name: row["value"] for name, row in json.loads(self._read("output", json=IsFlagged) or "{}").items()}

    def output(self, name: str) -> Any:
        """One output. KeyError where there is none of that name."""
        return self.outputs()[name]

    def pull_state(self) -> dict[str, Any]:
        """The state as Terraform keeps it; empty where there is none yet."""
        return dict(json.loads(self._read("state pull") or "{}"))

    def push_state(self, path: Path) -> None:
        """Put a state that could not be written into the bucket, and remove its file.

        Terraform itself compares lineage and serial: PermanentError where the bucket has another or a newer state.
        """
        self._read("state push", str(path.absolute()))
        path.unlink()

    def import_resource(self, address: str, resource_id: str) -> None:
        """Take what exists into the state; what the state has already, and what is not there, is left as it is."""
        returncode, _, stderr = self.cmd("import", address, resource_id, input=False, no_color=IsFlagged)
        if returncode and not any(words in stderr for words in NOT_TO_IMPORT):
            self._fail("import", [], stderr)

    def break_lock(self, lock_id: str) -> None:
        """Remove the lock of a holder that is provably a dead process of this stack (blocks/state_lock.py).

        PermanentError where that is not proved. A lock that has another holder by now is left alone by Terraform.
        """
        if not self._locks.is_dead(lock_id):
            raise PermanentError(
                f"{self.label}: lock {lock_id} is not provably a dead process of this machine, so it stays.",
                f"If you know that its holder is dead: `terraform force-unlock {lock_id}` in {self.folder}.",
            )
        self._read("force-unlock", lock_id, force=IsFlagged)
        self._locks.forget(lock_id)

    def cmd(
        self,
        cmd: str,
        *args: str,
        on_line: Callable[[str], None] = lambda line: None,
        transcript: Path | None = None,
        **options: Any,
    ) -> tuple[int, str, str]:
        """Run a command as python-terraform does: exit code, stdout, stderr. Nothing is raised for an exit code.

        TemporaryError after the timeout, when Terraform has been interrupted and has ended.
        """
        lines: list[str] = []

        def keep(line: str) -> None:
            lines.append(line)
            on_line(line)

        command = self.generate_cmd_string(cmd, *args, **options)
        locks = self._locks
        telling = locks.begin()
        try:
            ended = run_child(
                command,
                folder=self.folder,
                environment={**self._environment, **telling},
                on_line=keep,
                on_start=locks.start,
                on_end=locks.finish,
                transcript=transcript,
                timeout_seconds=self._timeout_seconds,
                grace_seconds=self._grace_seconds,
            )
        except OutOfTimeError as error:
            raise TemporaryError(
                f"{self.label}: terraform {cmd} took more than {self._timeout_seconds} seconds and was interrupted.",
                "Run it again: what exists is kept, the next run continues.",
            ) from error
        return ended.returncode, "\n".join(lines), ended.stderr

    def _stream(
        self, cmd: str, *args: str, on_event: OnEvent | None = None, may_return: tuple[int, ...] = (0,), **options: Any
    ) -> tuple[int, list[Message]]:
        messages: list[Message] = []

        def read(line: str) -> None:
            message = read_message(line)
            if message is None:
                return
            messages.append(message)
            if on_event:
                on_event(message)

        transcript = self.folder / f"{cmd}.jsonl"
        returncode, _, stderr = self.cmd(cmd, *args, on_line=read, transcript=transcript, **options)
        if returncode not in may_return:
            self._fail(cmd, messages, stderr)
        return returncode, messages

    def _read(self, cmd: str, *args: str, **options: Any) -> str:
        returncode, out, stderr = self.cmd(cmd, *args, no_color=IsFlagged, **options)
        if returncode:
            self._fail(cmd, [], stderr)
        return out

    def _fail(self, cmd: str, messages: list[Message], stderr: str) -> None:
        error = translate_errors(self.label, cmd, read_errors(messages, stderr), self.folder)
        try:
            refuse_rescued_state(self.label, self.folder)
        except PermanentError as rescued:
            raise PermanentError(f"{error.summary} {rescued.summary}", rescued.resolution) from error
        raise error


def refuse_rescued_state(label: str, folder: Path) -> None:
    """PermanentError where Terraform left a state that it could not write, in a work folder in or below this one.

    Going on would lose what that state describes.
    """
    for path in folder.rglob(RESCUED_STATE):
        raise PermanentError(
            f"{label}: an earlier apply could not write its state; it is kept in {path}.",
            "Run it again, on this machine: the next run puts that state into the bucket first.",
        )


def _clean_environment(account: Mapping[str, str], cli_config: Path, *, has_mirror: bool) -> dict[str, str]:
    """Nothing of the user's AWS_* or TF_*: PATH, HOME and TMPDIR, the account's variables, and ours."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    ours = {
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
        "TF_CLI_CONFIG_FILE": str(cli_config.absolute()),
    }
    if not has_mirror:
        cache = user_cache_dir() / "plugins"
        cache.mkdir(parents=True, exist_ok=True)
        # The provider's 150 MB come once, also for a stack whose lock file has no checksum for this platform.
        ours |= {"TF_PLUGIN_CACHE_DIR": str(cache), "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "1"}
    return {**kept, **account, **ours}


def _copy_hcl(source: Path, target: Path) -> None:
    """Copy a folder of HCL over an earlier copy; HCL that is gone from the source goes from the copy too.

    So does a lock file that an earlier `init` wrote itself: with it `init` hashes the provider's 700 MB again (1 s).
    """
    for stale in [*target.rglob("*.tf"), *target.glob(".terraform.lock.hcl")]:
        if ".terraform" not in stale.parts:
            stale.unlink()
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*"), dirs_exist_ok=True)
