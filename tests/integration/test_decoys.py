"""The local stack ignores the user's own AWS setup, and no call leaves this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

from .conftest import CHECKOUT, report_missing
from .decoy_run import TRAP_PORT

TRAP = f"http://127.0.0.1:{TRAP_PORT}"


def isolate() -> list[str]:
    """The command that gives a process a network of its own; as another user than root, with a user namespace."""
    command = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        report_missing(f"no network namespace can be made here: {error}")
    return command


def write_decoys(folder: Path) -> dict[str, str]:
    """Keys, a profile, endpoints, proxies and certificates that would each send a call astray, or fail it."""
    section = (
        f"aws_access_key_id = AKIADECOY\naws_secret_access_key = decoy\nregion = us-east-1\nendpoint_url = {TRAP}\n"
    )
    (folder / "config").write_text(f"[default]\n{section}[profile decoy]\n{section}")
    (folder / "credentials").write_text(f"[default]\n{section}[decoy]\n{section}")
    home = folder / "home"
    (home / ".aws").mkdir(parents=True)
    for name in ("config", "credentials"):
        (home / ".aws" / name).write_text((folder / name).read_text())
    (home / ".terraformrc").write_text('credentials "app.terraform.io" {\n  token = "decoy"\n}\n')
    return {
        "HOME": str(home),
        "AWS_PROFILE": "decoy",
        "AWS_DEFAULT_PROFILE": "decoy",
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        "AWS_ACCESS_KEY_ID": "AKIADECOY",
        "AWS_SECRET_ACCESS_KEY": "decoy",
        "AWS_SESSION_TOKEN": "decoy",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ROLE_ARN": "arn:aws:iam::999999999999:role/decoy",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(folder / "config"),
        "AWS_ENDPOINT_URL": TRAP,
        "AWS_ENDPOINT_URL_S3": TRAP,
        "AWS_ENDPOINT_URL_STS": TRAP,
        "AWS_CA_BUNDLE": str(folder / "no-such-bundle"),
        "REQUESTS_CA_BUNDLE": str(folder / "no-such-bundle"),
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"), TRAP),
        "TF_CLI_CONFIG_FILE": str(home / ".terraformrc"),
        "TF_CLI_ARGS": "-no-such-flag",
        "TF_VAR_role_arn": "arn:aws:iam::999999999999:role/decoy",
        "TF_DATA_DIR": str(folder / "decoy-data"),
        "TF_WORKSPACE": "decoy",
    }


def test_no_call_leaves_and_no_decoy_is_taken(tmp_path: Path, terraform_program: Path, provider_mirror: Path) -> None:
    """Emulator, boto3 and an apply with the AWS provider work with loopback alone, and nothing even tries to leave."""
    command = [*isolate(), sys.executable, "-m", "tests.integration.decoy_run"]
    environment = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ} | write_decoys(tmp_path)
    run = subprocess.run(
        [*command, str(tmp_path), str(terraform_program), str(provider_mirror)],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout.splitlines()[-1])
    assert seen["identity"]["account"] == "111122223333"
    assert (seen["added"], seen["groups"]) == (2, ["/dev/web"])
    assert seen["caught"] == []
    assert seen["lost"] == {"ipv4": 0, "ipv6": 0}
