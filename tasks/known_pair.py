"""The pair of an environment, as the flows on this machine find it by the environment's name alone."""

from blocks.postgres.pair_files import Pair, open_pair, read_record
from blocks.settings import read_settings
from blocks.supervisor import read_stack
from tasks.pair import find_programs


def find_pair(environment: str) -> Pair:
    """The pair of an environment. PermanentError where it has none."""
    return open_pair(read_stack(read_settings()), environment, find_programs())


def find_own_pair(environment: str) -> Pair | None:
    """The same, or None where it has none; without a local stack there is none either."""
    settings = read_settings()
    if not (settings.state_dir / "stack.json").exists() or read_record(read_stack(settings), environment) is None:
        return None
    return find_pair(environment)
