"""What a run does about an environment's database pair: made, brought to its spec, removed, or nothing.

Order: a pair is verified before it counts as ready; only then it holds data, and no undo removes it any more.
"""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from domain.errors import RefusedError
from domain.pair import PairRecord, PairSpec, PairState
from domain.spec import EnvironmentSpec
from domain.step import Step, Undo

#: What a person names with `--replace` to have a pair removed that the spec no longer has.
ADDRESS = "pair"
KEEPS_DATA = "It fills a pair that is not ready yet: the undo of its creation removes it whole."
READS_ONLY = "It changes nothing but the record that the pair is ready, and starts its WAL archive."
REMOVES = "It removes what was to be removed; provisioning makes a new, empty pair."


class ObservedPair(BaseModel):
    """A pair as it is; None where there is none. `hindrance`: why none can be made here, "" where one can.

    `is_current`: its servers and its uploader run as this version and the account as it is now have them.
    """

    model_config = ConfigDict(frozen=True)

    record: PairRecord | None = None
    state: PairState | None = None
    is_current: bool = True
    hindrance: str = ""


def read_wanted(spec: EnvironmentSpec) -> PairSpec | None:
    """The pair that an environment is to have."""
    database = spec.data.database
    if database is None or not database.is_pair:
        return None
    return PairSpec(
        region=spec.region,
        recovery_region=spec.recovery_region or spec.region,
        is_synchronous=database.is_synchronous,
        link_delay_ms=database.link_delay_ms,
        example_rows=database.example_rows,
    )


def refuse_pair(spec: EnvironmentSpec, observed: ObservedPair, named: frozenset[str]) -> None:
    """RefusedError where a pair cannot be made here, or where one that holds data would go and nobody named it."""
    wanted, record = read_wanted(spec), observed.record
    if wanted and record is None and observed.hindrance:
        raise RefusedError(
            f"{spec.name}: its database pair (database.provider: postgres) cannot be made here: {observed.hindrance}.",
            "Pairs are the local stack's, of `make up`. Elsewhere set database.provider: rds; has_replica gives it a "
            "copy in the recovery region.",
        )
    if wanted is None and record and record.is_ready and ADDRESS not in named:
        raise RefusedError(
            f"{spec.name}: its spec no longer has the database pair, whose data would be lost.",
            f"Take a backup, then name it: `terrarium env apply {spec.name} --replace {ADDRESS}`. Or undo the change "
            "in its file.",
        )


def decide_pair(spec: EnvironmentSpec, observed: ObservedPair) -> Iterator[Step]:
    """The steps that bring a pair to its spec; none where it is so already. A fenced server waits for its failback."""
    wanted, record = read_wanted(spec), observed.record
    if wanted is None:
        if record is not None:
            yield delete_pair_step()
        return
    if record and record.is_ready and _is_settled(wanted, observed):
        return
    yield Step(
        name="create_pair",
        arguments={"wanted": wanted.model_dump(mode="json")},
        undo=Undo(name="delete_unready_pair"),
    )
    if wanted.example_rows and not (record and record.is_ready):
        yield Step(name="fill_pair", arguments={"rows": wanted.example_rows}, no_undo=KEEPS_DATA)
    yield Step(name="verify_pair", no_undo=READS_ONLY)


def delete_pair_step() -> Step:
    """Everything of the pair on this machine goes; its WAL archive in the vault stays."""
    return Step(name="delete_pair", no_undo=REMOVES)


def _is_settled(wanted: PairSpec, observed: ObservedPair) -> bool:
    """Nothing is left to do. How many example rows it once got is no longer asked: its data is its own."""
    record, state = observed.record, observed.state
    if record is None or state is None or not observed.is_current or state.delay_ms != wanted.link_delay_ms:
        return False
    has_fenced = any(one.is_fenced for one in state.nodes) and len(state.primaries) == 1
    is_same = record.spec.model_copy(update={"example_rows": 0}) == wanted.model_copy(update={"example_rows": 0})
    waits = bool(state.primaries and state.primaries[0].synchronous_standbys)
    return is_same and (has_fenced or (state.is_whole and waits == wanted.is_synchronous))
