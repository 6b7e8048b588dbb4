"""Where secrets are kept: Vault and AWS Secrets Manager behind one interface, `SecretStore`.

Invariant: a value leaves a store only as a `SecretStr`, and no error of a store repeats what was sent or received.
"""

from blocks.secrets.secrets_manager import SecretsManager
from blocks.secrets.store import MissingSecretError, SecretStore, read_expiry
from blocks.secrets.vault import Vault, find_vault

__all__ = ["MissingSecretError", "SecretStore", "SecretsManager", "Vault", "find_vault", "read_expiry"]
