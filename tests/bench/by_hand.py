"""What a user would run instead: `terraform init`, `plan -out`, `apply` on the same stack, inputs and kind of state."""

import json
import shutil
import subprocess
import time
from pathlib import Path

from blocks.aws import AwsAccount, state_key
from blocks.settings import CHECKOUT, Settings
from blocks.terraform_binary import find_provider_mirror, find_terraform, write_cli_config
from domain.infrastructure import terraform_inputs
from domain.spec import EnvironmentSpec

HCL = CHECKOUT / "infra" / "terraform"


class ByHand:
    """A folder with a fresh copy of the HCL for each command line that a person would type."""

    def __init__(self, folder: Path, settings: Settings, account: AwsAccount, spec: EnvironmentSpec) -> None:
        self._folder, self._account, self._spec = folder, account, spec
        self._terraform = find_terraform(settings.terraform_path, settings.terraform_version)
        self._mirror = find_provider_mirror(settings.provider_mirror)

    def apply(self) -> float:
        """Seconds of `init`, `plan -out` and `apply`."""
        return self._run(["init", "-backend-config=backend.json"], ["plan", "-out=plan"], ["apply", "plan"])

    def plan(self) -> float:
        """Seconds of `init` and `plan`."""
        return self._run(["init", "-backend-config=backend.json"], ["plan"])

    def _run(self, *commands: list[str]) -> float:
        shutil.rmtree(self._folder, ignore_errors=True)
        for part in ("stacks/aws", "modules"):
            shutil.copytree(HCL / part, self._folder / part, ignore=shutil.ignore_patterns(".terraform*"))
        stack = self._folder / "stacks" / "aws"
        account = self._account
        inputs = terraform_inputs(self._spec, 1, "by-hand", account.owner())
        (stack / "terraform.tfvars.json").write_text(json.dumps(inputs))
        backend = account.terraform_backend(state_key(self._spec.name))
        (stack / "backend.json").write_text(json.dumps(backend))
        write_cli_config(self._folder / "terraform.rc", self._mirror)
        environment = {
            **account.environment(),
            "PATH": "/usr/bin:/bin",
            "HOME": str(self._folder),
            "TF_CLI_CONFIG_FILE": str(self._folder / "terraform.rc"),
            "CHECKPOINT_DISABLE": "1",
        }
        began = time.monotonic()
        for command in commands:
            done = subprocess.run(
                [self._terraform, command[0], "-input=false", "-no-color", *command[1:]],
                cwd=stack,
                env=environment,
                text=True,
                capture_output=True,
                timeout=900,
            )
            assert done.returncode == 0, done.stderr
        return time.monotonic() - began
