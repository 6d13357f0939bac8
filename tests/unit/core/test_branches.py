from __future__ import annotations

from collections.abc import Sequence

import pytest

from interlaced.core.branches import Branch, BranchArgument, CompletionPolicy, Plan, Rule
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Call, Effort
from interlaced.core.path import compile_pointer


def a_branch(name: str, *sources: str, is_required: bool = False, **parameters: str) -> Branch:
    arguments = tuple(
        BranchArgument(source, compile_pointer("/id"), f"from_{source}") for source in sources
    )
    call = Call(
        deadline=1e9, effort=Effort(0.0), connector="c", operation=name, parameters=parameters
    )
    return Branch(name=name, call=call, is_required=is_required, arguments_from=arguments)


def wrong_field(branches: Sequence[Branch], policy: CompletionPolicy) -> str:
    with pytest.raises(Failure) as caught:
        Plan(branches, policy)
    assert caught.value.reason is Reason.INVALID_REQUEST
    return caught.value.fields[0].field


ALL = CompletionPolicy(Rule.ALL)


def test_names_are_unique() -> None:
    assert wrong_field([a_branch("a"), a_branch("a")], ALL) == "branches[1].name"


def test_sources_are_known() -> None:
    wrong = [a_branch("a"), a_branch("b", "nobody")]
    assert wrong_field(wrong, ALL) == "branches[1].arguments_from[0].branch"


@pytest.mark.parametrize("size", [1, 2, 5])
def test_branches_do_not_wait_in_a_circle(size: int) -> None:
    circle = [a_branch(str(place), str((place + 1) % size)) for place in range(size)]
    assert wrong_field(circle, ALL) == "branches[0].arguments_from"


def test_a_parameter_is_given_once() -> None:
    wrong = [a_branch("a"), a_branch("b", "a", from_a="already")]
    assert wrong_field(wrong, ALL) == "branches[1].arguments_from[0].parameter"


@pytest.mark.parametrize("count", [0, 3])
def test_a_quorum_is_between_one_and_what_counts(count: int) -> None:
    branches = [a_branch("a"), a_branch("b", "a"), a_branch("c")]
    assert wrong_field(branches, CompletionPolicy(Rule.QUORUM, count)) == "policy.quorum.count"


def test_what_others_wait_for_does_not_count_and_required_extends_to_it() -> None:
    branches = [a_branch("a"), a_branch("b", "a"), a_branch("c", "b", is_required=True)]
    plan = Plan(branches, ALL)
    assert plan.counted == {2}
    assert plan.required == {0, 1, 2}
    assert plan.needed == 1
