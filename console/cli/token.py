"""`terrarium token`: who may ask the API. The first token is made by `make up`, all others by an administrator's."""

from urllib.parse import quote

import click

from console.cli.client import connect
from console.cli.options import json_option
from console.cli.output import print_json, print_table
from domain.access import Role


@click.group()
def token() -> None:
    """Tokens: create, list, revoke."""


@token.command(epilog="Example: terrarium token create ada --role operator --expires 90d > ada.token")
@click.argument("name")
@click.option(
    "--role",
    required=True,
    type=click.Choice([role.value for role in Role]),
    help="What it may do: each role may do what those before it may.",
)
@click.option("--expires", metavar="DURATION", help="How long it counts: 8h, 90d. Without: until it is revoked.")
@json_option
def create(name: str, role: str, expires: str | None, as_json: bool) -> None:
    """Make a token and print it, once: the ledger keeps its hash alone. NAME is the actor of all it asks for."""
    answer = connect().post("/api/tokens", {"name": name, "role": role, "expires": expires})
    if as_json:
        return print_json(answer)
    click.echo(f"The token of {name}, {role}. It is shown once; TERRARIUM_TOKEN_FILE names a file with it.", err=True)
    return click.echo(answer["value"])


@token.command("list", epilog="Example: terrarium token list --json")
@json_option
def list_tokens(as_json: bool) -> None:
    """List every token that was ever given."""
    answer = connect().get("/api/tokens")
    if as_json:
        return print_json(answer)
    keys = ("name", "role", "created_at", "created_by", "expires_at", "revoked_at")
    return print_table(
        [key.replace("_", " ") for key in keys], [[row[key] for key in keys] for row in answer["tokens"]]
    )


@token.command(epilog="Example: terrarium token revoke ada")
@click.argument("name")
@json_option
def revoke(name: str, as_json: bool) -> None:
    """End a token: its next call is refused."""
    answer = connect().call("DELETE", f"/api/tokens/{quote(name, safe='')}")
    if as_json:
        return print_json(answer)
    return click.echo(f"{name} is revoked since {answer['revoked_at']}.")
