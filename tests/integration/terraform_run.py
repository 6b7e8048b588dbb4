"""An apply of the test stack in a process of its own, for tests to kill. Arguments: folder, JSON of the run."""

import json
import os
import sys
from pathlib import Path

from blocks.aws import AwsAccount, state_key
from blocks.state_lock import LockRecorder
from blocks.terraform import Terraform

ENVIRONMENT = "dev"
STACK = """
terraform {
  backend "s3" {}
}
variable "slow_seconds" {
  type = number
}
variable "fail" {
  type    = bool
  default = false
}
resource "terraform_data" "first" {
  input = "made"
}
resource "terraform_data" "slow" {
  depends_on = [terraform_data.first]
  triggers_replace = [var.slow_seconds]
  provisioner "local-exec" {
    command = "sleep ${var.slow_seconds}"
  }
}
resource "terraform_data" "fails" {
  count = var.fail ? 1 : 0
  provisioner "local-exec" {
    command = "echo no such part >&2; exit 7"
  }
}
output "word" {
  value = terraform_data.first.output
}
output "secret" {
  value     = "hush"
  sensitive = true
}
"""


def prepare(folder: Path, account: AwsAccount, program: Path, slow_seconds: int = 0, **options: object) -> Terraform:
    """The stack in its work folder, connected to the account's state bucket."""
    inputs = {"slow_seconds": slow_seconds} | ({"fail": True} if options.pop("fail", False) else {})
    stack = folder / "source" / "stacks" / "small"
    stack.mkdir(parents=True, exist_ok=True)
    (stack / "main.tf").write_text(STACK)
    key = state_key(ENVIRONMENT)
    terraform = Terraform(
        folder / "work",
        f"environment {ENVIRONMENT}",
        program=program,
        environment=account.environment(),
        mirror=folder,
        locks=LockRecorder(folder / "holders", lambda: account.read_lock(key)),
        **options,  # type: ignore[arg-type]  # from JSON
    )
    terraform.prepare(stack, inputs, account.terraform_backend(key))
    terraform.init()
    return terraform


def main() -> None:
    """Plan and apply; each message's type goes to stdout, and before them our process id."""
    folder, run = Path(sys.argv[1]), json.loads(sys.argv[2])
    terraform = prepare(folder, AwsAccount(**run["account"]), Path(run["program"]), run["slow_seconds"])
    terraform.plan(folder / "plan")
    print(os.getpid(), flush=True)  # noqa: T201 - the test reads it
    terraform.apply(folder / "plan", lambda message: print(message["type"], flush=True))  # noqa: T201 - as above


if __name__ == "__main__":
    main()
