"""What a provisioning run does, from what is wanted and what Terraform would change."""

import pytest

from blocks.environment_files import read_declared
from domain.changes import Change, Changes
from domain.errors import RefusedError
from domain.pair_plan import ObservedPair
from domain.provision import Observed, classify_failure, decide_plan_run, decide_provision, name_plan, refuse_move
from domain.spec import EnvironmentSpec
from domain.status import EnvironmentStatus, Operation

NOTHING = Changes()
NO_PAIR = ObservedPair()
ADDED = Changes(items=(Change(address="a.x", resource_type="a", action="add"),))


@pytest.fixture(scope="module")
def spec() -> EnvironmentSpec:
    """An environment of the example, with a database of RDS."""
    return read_declared("staging")[1]


def _lose(count: int) -> Changes:
    return Changes(items=tuple(Change(address=f"a.x[{i}]", resource_type="a", action="replace") for i in range(count)))


def _names(spec: EnvironmentSpec, observed: Observed) -> list[str]:
    return [step.name for step in decide_provision(spec, observed, NO_PAIR).steps]


def test_a_new_environment_is_applied_verified_and_reported(spec: EnvironmentSpec) -> None:
    """What is reported was verified, what is verified was applied."""
    observed = Observed(changes=ADDED, is_ready=False, pinned="")
    assert _names(spec, observed) == ["apply_infrastructure", "verify_infrastructure", "publish_report"]


def test_a_plan_on_its_own_result_is_empty(spec: EnvironmentSpec) -> None:
    """Nothing changes, so nothing is applied: the run only says so."""
    assert _names(spec, Observed(changes=NOTHING, is_ready=True, pinned="")) == ["publish_report"]


def test_a_run_that_died_after_its_apply_is_verified_by_the_next(spec: EnvironmentSpec) -> None:
    """An interrupted prefix converges: nothing is left to apply, but nobody has looked yet."""
    assert _names(spec, Observed(changes=NOTHING, is_ready=False, pinned="")) == [
        "verify_infrastructure",
        "publish_report",
    ]


def test_a_run_that_died_within_its_apply_is_continued_by_the_next(spec: EnvironmentSpec) -> None:
    """What is missing is added, by the same steps."""
    assert _names(spec, Observed(changes=ADDED, is_ready=False, pinned=""))[0] == "apply_infrastructure"


def test_a_loss_beyond_the_limit_is_refused_with_its_numbers(spec: EnvironmentSpec) -> None:
    """A person must be able to judge the refusal without looking anything up."""
    limit = spec.protection.deletion_limit
    with pytest.raises(RefusedError, match=f"delete or replace {limit + 1} resources, limit {limit}"):
        decide_provision(spec, Observed(changes=_lose(limit + 1), is_ready=True, pinned=""), NO_PAIR)


def test_a_loss_at_the_limit_is_allowed(spec: EnvironmentSpec) -> None:
    """The limit is the last number that passes."""
    plan = decide_provision(
        spec, Observed(changes=_lose(spec.protection.deletion_limit), is_ready=True, pinned=""), NO_PAIR
    )
    assert plan.steps[0].name == "apply_infrastructure"


def test_a_plan_run_shows_even_what_would_be_refused(spec: EnvironmentSpec) -> None:
    """Showing changes nothing; and the kept plan is removed again where the run fails."""
    observed = Observed(changes=_lose(spec.protection.deletion_limit + 1), is_ready=True)
    save = decide_plan_run(spec, observed, NO_PAIR).steps[0]
    assert save.name == "save_plan"
    assert save.undo is not None
    assert save.undo.arguments == {"plan_id": save.arguments["plan_id"]}


@pytest.mark.parametrize(
    ("key", "place"), [("account", "another"), ("region", "eu-west-3"), ("cloud", "terraform_data")]
)
def test_an_environment_does_not_move(spec: EnvironmentSpec, key: str, place: str) -> None:
    """The refusal tells both places; any other change is no move."""
    with pytest.raises(RefusedError, match=f"lives in .*{getattr(spec, key)}.*says .*{place}"):
        refuse_move(spec.model_copy(update={key: place}), lives=spec)
    refuse_move(spec.model_copy(update={"cost_centre": "another"}), lives=spec)


def test_the_id_of_a_plan_names_what_was_seen(spec: EnvironmentSpec) -> None:
    """Other changes, another spec or other modules give another id; the same plan made again has the same."""
    ids = {
        name_plan(of, changes.model_copy(update={"modules": modules}))
        for of in (spec, read_declared("dev")[1])
        for changes in (NOTHING, ADDED)
        for modules in ("1", "2")
    }
    assert len(ids) == 8
    assert name_plan(spec, ADDED) == name_plan(spec, Changes(items=ADDED.items))


def test_modules_are_pinned_before_they_are_applied(spec: EnvironmentSpec) -> None:
    """A first apply and an upgrade keep their modules first: what was made halfway is continued with the same."""
    new = Observed(changes=ADDED.model_copy(update={"modules": "2"}), is_ready=True, pinned="1")
    assert _names(spec, new)[:2] == ["pin_modules", "apply_infrastructure"]
    assert "pin_modules" not in _names(spec, new.model_copy(update={"pinned": "2"}))


def test_a_loss_of_data_is_refused_unless_it_is_named(spec: EnvironmentSpec) -> None:
    """Naming the wrong address does not help."""
    lost = Change(address="aws_db_instance.this", resource_type="aws_db_instance", action="replace")
    observed = Observed(changes=Changes(items=(lost,)), is_ready=True, named=frozenset({"aws_db_instance.other"}))
    with pytest.raises(RefusedError, match=r"aws_db_instance.this would be replaced.*--replace 'aws_db_instance.this'"):
        decide_provision(spec, observed, NO_PAIR)
    named = observed.model_copy(update={"named": frozenset({lost.address})})
    assert "apply_infrastructure" in _names(spec, named)


@pytest.mark.parametrize(
    ("operation", "was_ready", "may_have_changed", "leaves"),
    [
        (Operation.PROVISION, False, True, EnvironmentStatus.FAILED),
        (Operation.PROVISION, False, False, EnvironmentStatus.FAILED),
        (Operation.PROVISION, True, True, EnvironmentStatus.DEGRADED),
        (Operation.PROVISION, True, False, None),
        (Operation.TEARDOWN, True, True, EnvironmentStatus.DEGRADED),
        (Operation.TEARDOWN, True, False, None),
        (Operation.PLAN, False, False, None),
    ],
)
def test_what_a_failed_run_leaves(
    operation: Operation, was_ready: bool, may_have_changed: bool, leaves: EnvironmentStatus | None
) -> None:
    """A failed creation is failed, a failed change is degraded, and what was not touched stays as it was."""
    assert classify_failure(operation, was_ready=was_ready, may_have_changed=may_have_changed) == leaves
