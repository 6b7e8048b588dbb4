"""`terraform fmt -check` and `validate` of every root below infra/terraform, on a copy: the checkout stays as it is."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from blocks.settings import CHECKOUT, read_settings
from blocks.terraform_binary import find_provider_mirror, find_terraform, write_cli_config

SOURCE = CHECKOUT / "infra" / "terraform"


def main() -> int:
    """Exit code 0, or 1 after Terraform's own words about what is wrong."""
    settings = read_settings()
    terraform = find_terraform(settings.terraform_path, settings.terraform_version)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "terraform.rc"
        write_cli_config(config, find_provider_mirror(settings.provider_mirror))
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "TF_CLI_CONFIG_FILE": str(config)}
        copy = shutil.copytree(SOURCE, Path(folder) / "terraform", ignore=shutil.ignore_patterns(".terraform"))
        for command, root in _list_checks(copy):
            done = subprocess.run([terraform, *command], cwd=root, env=environment, capture_output=True, text=True)
            if done.returncode:
                sys.stderr.write(f"terraform {command[0]} in {root.relative_to(copy)}:\n{done.stdout}{done.stderr}")
                return 1
    return 0


def _list_checks(copy: Path) -> Iterator[tuple[list[str], Path]]:
    yield ["fmt", "-check", "-diff", "-recursive"], copy
    for root in sorted(path.parent for path in [*copy.glob("stacks/*/main.tf"), *copy.glob("bootstrap/*/main.tf")]):
        yield ["init", "-backend=false", "-input=false"], root
        yield ["validate"], root


if __name__ == "__main__":
    sys.exit(main())
