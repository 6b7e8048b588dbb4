"""For a network namespace of its own, with decoys in the environment: emulator, boto3 and Terraform on loopback.

Prints what the kernel counted: packets that found no route out, and connections to the traps that the decoys name.
"""

import array
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

from blocks.aws import state_key
from blocks.terraform import Terraform

from .conftest import CHECKOUT, bootstrap, emulator_command, find_free_port, open_account, wait_for_emulator

TRAP_PORT = 9999
METADATA_ADDRESS = "169.254.169.254"
STACK = """
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
  backend "s3" {}
}
variable "role_arn" {
  type = string
}
provider "aws" {
  region                      = "eu-central-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  s3_use_path_style           = true
  assume_role {
    role_arn = var.role_arn
  }
}
resource "aws_s3_bucket" "media" {
  bucket_prefix = "media-"
}
resource "aws_cloudwatch_log_group" "web" {
  name = "/dev/web"
}
"""


def raise_loopback() -> None:
    """Loopback up, with the metadata service's address on it, so that a call there is caught rather than lost."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        fcntl.ioctl(probe, 0x8914, struct.pack("16sh14s", b"lo", 0x1 | 0x40, b""))  # SIOCSIFFLAGS: up, running
        address = struct.pack("16sHH4s8s", b"lo:1", socket.AF_INET, 0, socket.inet_aton(METADATA_ADDRESS), b"")
        fcntl.ioctl(probe, 0x8916, array.array("B", address))  # SIOCSIFADDR


def set_trap(address: str, port: int, caught: list[str]) -> None:
    """Count every connection to an address that only a decoy names."""
    trap = socket.create_server((address, port))

    def catch() -> None:
        while True:
            connection, _ = trap.accept()
            with connection:
                caught.append(f"{address}:{port} {connection.recv(200)!r}")

    threading.Thread(target=catch, daemon=True).start()


def count_lost() -> dict[str, int]:
    """What tried to leave: packets without a route since this namespace began (RFC 4293: ipSystemStatsOutNoRoutes)."""
    names, values = [row.split() for row in Path("/proc/net/snmp").read_text().splitlines() if row.startswith("Ip:")]
    six = dict(row.split() for row in Path("/proc/net/snmp6").read_text().splitlines())
    return {"ipv4": int(values[names.index("OutNoRoutes")]), "ipv6": int(six.get("Ip6OutNoRoutes", 0))}


def act(folder: Path, url: str, program: Path, mirror: Path) -> dict[str, object]:
    """An account bootstrapped by boto3 and a stack applied by Terraform; what is there then, by boto3."""
    account = bootstrap(open_account(url, "111122223333"))
    stack = folder / "source" / "stacks" / "small"
    stack.mkdir(parents=True)
    (stack / "main.tf").write_text(STACK)
    terraform = Terraform(
        folder / "work", "environment dev", program=program, environment=account.environment(), mirror=mirror
    )
    terraform.prepare(stack, {"role_arn": account.role_arn}, account.terraform_backend(state_key("dev")))
    terraform.init()
    terraform.plan(folder / "plan")
    added = terraform.apply(folder / "plan").counts.add
    groups = account.client("logs").describe_log_groups()["logGroups"]
    return {"identity": account.identity(), "added": added, "groups": [group["logGroupName"] for group in groups]}


def main() -> None:
    """Arguments: folder, Terraform, provider mirror."""
    folder, program, mirror = map(Path, sys.argv[1:4])
    raise_loopback()
    caught: list[str] = []
    set_trap("127.0.0.1", TRAP_PORT, caught)
    set_trap(METADATA_ADDRESS, 80, caught)
    port = find_free_port()
    with (folder / "emulator.log").open("wb") as log:
        process = subprocess.Popen(emulator_command(port), cwd=CHECKOUT, stdout=log, stderr=log, env=dict(os.environ))
    try:
        wait_for_emulator(f"http://127.0.0.1:{port}", process)
        made = act(folder, f"http://127.0.0.1:{port}", program, mirror)
    finally:
        process.kill()
        process.wait()
    print(json.dumps({**made, "lost": count_lost(), "caught": caught}))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main()
