"""`terrarium account`: the AWS accounts that environments live in."""

from urllib.parse import quote

import click

from console.cli.client import connect
from console.cli.options import json_option, read_waiting, waiting_options
from console.cli.output import print_json, print_table
from console.cli.wait import finish

EXIT_FINDINGS = 3


@click.group()
def account() -> None:
    """Accounts: list, add, bootstrap, check."""


@account.command("list", epilog="Example: terrarium account list --json")
@json_option
def list_accounts(as_json: bool) -> None:
    """List the accounts that environments may name."""
    answer = connect().get("/api/accounts")
    if as_json:
        return print_json(answer)
    keys = ("name", "kind", "account_id", "region", "role_arn", "state_bucket", "vault_bucket")
    return print_table(
        [key.replace("_", " ") for key in keys], [[row[key] for key in keys] for row in answer["accounts"]]
    )


@account.command(epilog="Example: terrarium account add team-b --id 333333333333 --region eu-central-1 --kind aws")
@click.argument("name")
@click.option("--id", "account_id", required=True, help="The twelve digits.")
@click.option("--region", required=True, help="Where its buckets are, such as eu-central-1.")
@click.option("--kind", required=True, type=click.Choice(["aws", "emulator"]), help="AWS itself, or an emulator of it.")
@click.option("--role", "role_arn", default="", help="ARN of the role to assume; without: the identity of the worker.")
@click.option(
    "--external-id-variable",
    default="",
    metavar="NAME",
    help="Variable of the worker with the external id that the role asks for; its name has EXTERNAL_ID in it.",
)
@click.option("--endpoint", "endpoint_url", help="The emulator's address; none for AWS.")
@click.option("--state-bucket", help="Without: terrarium-state-ID-REGION, as the bootstrap names it.")
@click.option("--vault-bucket", help="Without: terrarium-vault-ID-REGION, as the bootstrap names it.")
@click.option("--key", "kms_key_id", default="", help="ARN or id of the key of both buckets.")
@json_option
def add(name: str, account_id: str, region: str, as_json: bool, **fields: str | None) -> None:
    """Register an account, or change one. No key is stored: who calls assumes the role.

    Its number and kind stay; its region and buckets too, while environments live there; a known key, without --key.
    """
    for which in ("state", "vault"):
        fields[f"{which}_bucket"] = fields[f"{which}_bucket"] or f"terrarium-{which}-{account_id}-{region}"
    answer = connect().post("/api/accounts", {"name": name, "account_id": account_id, "region": region, **fields})
    if as_json:
        return print_json(answer)
    return click.echo(f"{name} is registered. Look whether it answers: terrarium account check {name}")


@account.command(epilog="Example: terrarium account bootstrap team-b --recovery-region eu-west-1")
@click.argument("name")
@click.option("--recovery-region", required=True, help="The second region that environments may use.")
@json_option
@waiting_options
def bootstrap(name: str, recovery_region: str, as_json: bool, timeout: float | None, no_wait: bool) -> int:
    """Make what an account needs before its first environment: buckets, key, role. Again: nothing changes."""
    waiting, api = read_waiting(timeout, no_wait), connect()
    path = f"/api/accounts/{quote(name, safe='')}/bootstrap"
    return finish(api, api.post(path, {"recovery_region": recovery_region}), waiting, as_json)


@account.command(epilog="Example: terrarium account check nonproduction")
@click.argument("name")
@json_option
def check(name: str, as_json: bool) -> int:
    """Ask an account whose calls land in it, and whether its buckets are there. Code 3 where something is wrong."""
    answer = connect().post(f"/api/accounts/{quote(name, safe='')}/check")
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{'ok' if answer['ok'] else 'FIND'} {name}: {answer['detail']}")
        if answer["resolution"]:
            click.echo(f"  {answer['resolution']}")
    return 0 if answer["ok"] else EXIT_FINDINGS
