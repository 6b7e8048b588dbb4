"""The local Vault: an OpenBao with its storage in the state folder, which unseals itself with a key in a file.

Its root token and key are for `make up` alone, mode 0600. Flows log in by an AppRole that may read metadata, no value.
"""

import json
import secrets
from pathlib import Path

from hvac import Client
from hvac.exceptions import InvalidPath, InvalidRequest, VaultError
from pydantic import SecretStr
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from blocks.private_files import write_private
from blocks.secrets import Vault
from blocks.settings import Settings
from deployments.local.layout import Layout
from domain.errors import PermanentError

MOUNT = "secret"
ROLE = "terrarium"
#: What the shipped files refer to: drawn, so that the example is whole. Nobody else's secret is ever invented.
EXAMPLES = tuple(f"travelblog/{name}/payment-key" for name in ("dev", "staging", "production"))
POLICY = f'path "{MOUNT}/metadata/*" {{ capabilities = ["read", "list"] }}\n'
TOKEN_MINUTES = 20
#: How long a new engine may answer "Upgrading from non-versioned to versioned data": long on a loaded machine.
ENGINE_SECONDS = 60


def prepare_vault(settings: Settings) -> None:
    """Initialise it where it is new, and see to it that engine, role, examples and Prefect's block are there."""
    try:
        _register(_fill(settings, Layout(settings.state_dir)))
    except VaultError as error:
        raise PermanentError(
            f"The local Vault refused what `make up` asked of it: {type(error).__name__}: {error}.",
            f"See {Layout(settings.state_dir).logs / 'vault.log'}; docs/troubleshooting.md says how to make a new one.",
        ) from error


def _fill(settings: Settings, layout: Layout) -> Vault:
    """What is in the Vault, and the block that leads to it."""
    _initialise(settings.vault_url, layout.vault_root)
    client = Client(url=settings.vault_url, token=read_root_token(settings), cert=())
    if f"{MOUNT}/" not in client.sys.list_mounted_secrets_engines()["data"]:
        client.sys.enable_secrets_engine("kv", MOUNT, options={"version": "2"})
    _draw_examples(client)
    return _prepare_role(client, settings, layout)


def forget_vault(settings: Settings) -> None:
    """Take the local Vault's block out of Prefect, where no OpenBao runs any more; another's block stays."""
    if (known := _load_known()) and known.address == settings.vault_url:
        Vault.delete("default")


def read_root_token(settings: Settings) -> str:
    """The token that may do everything in the local Vault. PermanentError where its file is gone."""
    root = Layout(settings.state_dir).vault_root
    if not root.exists():
        raise PermanentError(
            f"The local Vault is initialised, and its root token is not in {root}.",
            f"Remove {root.parent}: the next `make up` makes a new one, without the secrets that were in it.",
        )
    token: str = json.loads(root.read_text())["root_token"]
    return token


def _initialise(address: str, root: Path) -> None:
    """Once: root token and recovery key are told then and never again."""
    client = Client(url=address, token="", cert=())
    if not client.sys.is_initialized():
        made = client.adapter.put("/v1/sys/init", json={"recovery_shares": 1, "recovery_threshold": 1})
        write_private(root, json.dumps(made, indent=2) + "\n")


def _prepare_role(client: Client, settings: Settings, layout: Layout) -> Vault:
    """The role that flows log in with, its secret id in a file, and the block that names both."""
    client.sys.create_or_update_policy(ROLE, POLICY)
    if "approle/" not in client.sys.list_auth_methods()["data"]:
        client.sys.enable_auth_method("approle")
    approle = client.auth.approle
    approle.create_or_update_approle(
        ROLE,
        token_policies=[ROLE],
        token_ttl=f"{TOKEN_MINUTES}m",
        token_type="batch",  # noqa: S106 - a kind of token, no password
        token_no_default_policy=True,
    )
    if not layout.vault_secret_id.exists():
        write_private(layout.vault_secret_id, approle.generate_secret_id(ROLE)["data"]["secret_id"] + "\n")
    return Vault(
        address=settings.vault_url,
        mount=MOUNT,
        role_id=approle.read_role_id(ROLE)["data"]["role_id"],
        credential_file=str(layout.vault_secret_id),
    )


def _is_engine_not_ready(error: BaseException) -> bool:
    return isinstance(error, InvalidRequest) and "Upgrading from non-versioned to versioned data" in str(error)


@retry(
    retry=retry_if_exception(_is_engine_not_ready),
    stop=stop_after_delay(ENGINE_SECONDS),
    wait=wait_fixed(0.2),
    reraise=True,
)
def _draw_examples(client: Client) -> None:
    """Written only where nothing was ever: check-and-set of version 0."""
    kv = client.secrets.kv.v2
    for path in EXAMPLES:
        try:
            kv.read_secret_metadata(path, mount_point=MOUNT)
        except InvalidPath:
            drawn = SecretStr(secrets.token_urlsafe(24))
            kv.create_or_update_secret(path, {"value": drawn.get_secret_value()}, cas=0, mount_point=MOUNT)


def _register(vault: Vault) -> None:
    """A block of that name that a person made for another server is theirs, and stays."""
    known = _load_known()
    is_ours = known is None or known.address == vault.address
    if is_ours and (known is None or known.model_dump() != vault.model_dump()):
        vault.save("default", overwrite=True)


def _load_known() -> Vault | None:
    try:
        found = Vault.load("default")
    except ValueError:  # Prefect's word for a block that nobody registered
        return None
    return found if isinstance(found, Vault) else None
