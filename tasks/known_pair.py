"""The pair of an environment, as the flows on this machine find it."""

from blocks.postgres.account import bring_programs, choose_account
from blocks.postgres.pair_files import Pair, open_pair, read_record
from blocks.postgres_binaries import find_postgres_binaries
from blocks.settings import read_settings
from blocks.supervisor import read_stack


def find_pair(environment: str) -> Pair:
    """The pair of an environment. PermanentError where it has none."""
    settings = read_settings()
    stack = read_stack(settings)
    binaries = find_postgres_binaries(settings.postgres_bin_dir)
    return open_pair(stack, environment, bring_programs(binaries, stack.database_dir, choose_account()))


def find_own_pair(environment: str) -> Pair | None:
    """The same, or None where it has none; without a local stack there is none either."""
    settings = read_settings()
    if not (settings.state_dir / "stack.json").exists() or read_record(read_stack(settings), environment) is None:
        return None
    return find_pair(environment)
