"""What `up` says last: where everything is, and what to try next."""

from blocks.settings import CHECKOUT
from blocks.supervisor import Stack

NEXT = (
    (".venv/bin/terrarium env list", "the environments and their state"),
    (".venv/bin/terrarium env apply environments/staging.yaml", "make another one and watch it"),
    ("make status", "what runs, and whether it is healthy"),
    ("make down", "stop everything; what is made stays"),
)


def write_farewell(stack: Stack) -> str:
    """A few lines for the terminal."""
    addresses = {
        "Prefect's UI": stack.prefect_url,
        "Terrarium's API": f"{stack.api_url} (its token: {stack.state_dir / 'token'})",
        "AWS emulator": stack.emulator_url,
        "Logs": str(stack.state_dir / "logs"),
    }
    lines = [f"  {name:<16} {address}" for name, address in addresses.items()]
    return "\n".join(["", *lines, "", f"Try, in {CHECKOUT}:", *(f"  {command:<56} {what}" for command, what in NEXT)])
