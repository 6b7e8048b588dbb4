"""Terraform and the AWS provider for the image: what the base image brings stays where it is, what it lacks is fetched.

`python fetch_terraform.py FOLDER` fills FOLDER/bin and FOLDER/share/terraform/plugins, which belong into /usr/local.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from blocks.settings import CHECKOUT, read_settings
from blocks.terraform_binary import RELEASES_URL, find_provider_mirror, find_terraform

STACK = Path("stacks") / "aws"


def main(folder: Path) -> None:
    """Terraform is checked against its pinned sha256; Terraform itself checks the provider's signature."""
    programs, plugins = folder / "bin", folder / "share" / "terraform" / "plugins"
    for made in (programs, plugins):
        made.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        releases_url = os.environ.get("TERRAFORM_RELEASES_URL") or RELEASES_URL
        terraform = find_terraform(
            None, read_settings().terraform_version, cache_dir=Path(scratch), releases_url=releases_url
        )
        if Path(scratch) in terraform.parents:
            terraform = shutil.copy(terraform, programs / "terraform")
        if find_provider_mirror(None) is None:
            fetch_provider(terraform, plugins, Path(scratch))


def fetch_provider(terraform: Path, plugins: Path, scratch: Path) -> None:
    """Unpacked, as Terraform's own cache keeps it: a run then links to it instead of unpacking 700 MB."""
    code = shutil.copytree(CHECKOUT / "infra" / "terraform", scratch / "code")
    variables = {"TF_PLUGIN_CACHE_DIR": str(plugins), "TF_DATA_DIR": str(scratch / "data"), "CHECKPOINT_DISABLE": "1"}
    command = [terraform, f"-chdir={code / STACK}", "init", "-backend=false", "-input=false"]
    subprocess.run(command, env=os.environ | variables, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
