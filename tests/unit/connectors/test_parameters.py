"""Parameters of operations, bound call by call."""

from __future__ import annotations

from typing import Any

import pytest

from interlaced.connectors.parameters import Parameters, as_text, field_of, refuse
from interlaced.core.failure import Failure, FieldViolation, Reached, Reason
from interlaced.core.model import Call, Effort
from interlaced.core.ports import Parameter, ParameterType


def call(arguments: dict[str, Any]) -> Call:
    return Call(
        deadline=0.0, effort=Effort(0.0), connector="c", operation="o", parameters=arguments
    )


def parameters(*declared: Parameter, mentioned: tuple[str, ...] = ()) -> Parameters:
    made = Parameters({each.name: each for each in declared})
    for name in (*mentioned, *(each.name for each in declared)):
        made.use(name)
    made.close()
    return made


def wrong(made: Parameters, **arguments: Any) -> dict[str, str]:
    with pytest.raises(Failure) as caught:
        made.bind(call(arguments))
    assert (caught.value.reason, caught.value.reached) == (Reason.INVALID_REQUEST, Reached.NOT_SENT)
    return {each.field: each.description for each in caught.value.fields}


def test_good_ones_are_passed_on_as_they_are() -> None:
    made = parameters(Parameter("n", ParameterType.INTEGER), mentioned=("any",))
    arguments = {"n": 1, "any": True}
    assert made.bind(call(arguments)) == arguments
    assert made.bind(call({})) == {}


def test_all_that_is_wrong_is_named_at_once() -> None:
    made = parameters(Parameter("n", ParameterType.INTEGER), Parameter("r", is_required=True))
    assert wrong(made, n="1", x=2) == {
        "parameters[n]": "must be an integer",
        "parameters[x]": "is not a parameter of this operation",
        "parameters[r]": "is missing",
    }


@pytest.mark.parametrize("value", [("a",), float("nan"), float("-inf")])
def test_an_undeclared_one_takes_any_scalar(value: Any) -> None:
    made = parameters(mentioned=("any",))
    assert wrong(made, any=value) == {
        "parameters[any]": "must be a text, a finite number, true or false"
    }


def test_a_name_that_is_no_name_is_not_repeated() -> None:
    assert field_of("good-Name_1") == "parameters[good-Name_1]"
    for name in ("", "a b", "a\n", "1a", "a" * 64, "caf\xe9"):
        assert field_of(name) == "parameters"


def test_what_is_declared_must_be_used() -> None:
    made = Parameters({"x": Parameter("x")})
    with pytest.raises(ValueError, match="never used"):
        made.close()


def test_a_list_stands_only_where_it_can() -> None:
    made = Parameters({"x": Parameter("x", ParameterType.LIST)})
    with pytest.raises(ValueError, match="the list x"):
        made.use("x", can_be_list=False)


def test_scalars_become_text_as_upstreams_read_it() -> None:
    assert [as_text(value) for value in (True, False, 1, 1.5, "a")] == [
        "true",
        "false",
        "1",
        "1.5",
        "a",
    ]


def test_refusing_carries_the_fields() -> None:
    with pytest.raises(Failure) as caught:
        refuse(FieldViolation("a", "b"))
    assert caught.value.fields == (FieldViolation("a", "b"),)
