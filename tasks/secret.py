"""Secrets that an environment refers to, looked up before anything is planned. No value is read."""

from prefect import task

from blocks.secrets import SecretsManager, SecretStore, find_vault
from domain.errors import TerrariumError
from domain.secret import SecretMetadata, list_external, refuse_missing, refuse_unconnected
from tasks.retry import REPEATABLE
from tasks.run import Run


def check_secrets(run: Run) -> None:
    """PermanentError that names every reference whose secret is not there; nothing is asked where there is none."""
    if list_external(run.spec):
        look_up_secrets(run)


@task(**REPEATABLE)
def look_up_secrets(run: Run) -> None:
    """Ask each reference's backend for what is public of it.

    On the emulator a backend that is not connected is a gap of the report: what runs there has no secrets to lose.
    """
    stores = open_stores(run)
    if run.account.kind == "aws":
        refuse_unconnected(run.spec, stores)
    wanted = {name: it for name, it in list_external(run.spec).items() if it.backend in stores}
    refuse_missing(run.spec, {name: _find(run, name, stores[it.backend], it.path or "") for name, it in wanted.items()})


def open_stores(run: Run) -> dict[str, SecretStore]:
    """The backends that a run can ask, by their words in the file: the account's own, and its Vault where one is."""
    stores: dict[str, SecretStore] = {"secrets-manager": SecretsManager(run.account, run.spec.region)}
    if any(reference.backend == "vault" for reference in run.spec.secrets.values()) and (
        vault := find_vault(run.account.name)
    ):
        stores["vault"] = vault
    return stores


def _find(run: Run, name: str, store: SecretStore, path: str) -> SecretMetadata | None:
    """A store's error tells of its backend and path; here it gets the environment and the secret."""
    try:
        return store.find_metadata(path)
    except TerrariumError as error:
        raise type(error)(f"{run.environment}: secret {name}: {error.summary}", error.resolution) from error
