"""The parameters of an operation: declared, mentioned by templates, and checked call by call."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import NoReturn, TypeAlias

from interlaced.core.failure import Failure, FieldViolation, Reason
from interlaced.core.model import Argument, Call
from interlaced.core.ports import Parameter, ParameterType

__all__ = ["Arguments", "Parameters", "as_text", "field_of", "refuse"]

Arguments: TypeAlias = Mapping[str, Argument]
"""The parameters of one call, by name."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_TYPES: Mapping[ParameterType, tuple[tuple[type, ...], str]] = {
    ParameterType.STRING: ((str,), "must be a text"),
    ParameterType.INTEGER: ((int,), "must be an integer"),
    ParameterType.NUMBER: ((int, float), "must be a finite number"),
    ParameterType.BOOLEAN: ((bool,), "must be true or false"),
    ParameterType.LIST: ((tuple,), "must be a list of texts"),
}


class Parameters:
    """The parameters of an operation: those declared, and those that its templates mention."""

    def __init__(self, declared: Mapping[str, Parameter]) -> None:
        self._declared = declared
        self._mentioned: dict[str, bool] = {}
        self.checks: dict[str, Callable[[Argument], str]] = {}
        self.required: list[str] = []

    def use(self, name: str, *, is_required: bool = False, can_be_list: bool = True) -> str:
        """Notes that a template mentions a parameter, and returns its name; ValueError if it is a
        list where none can stand."""
        declared = self._declared.get(name)
        if declared is not None and declared.type is ParameterType.LIST and not can_be_list:
            raise ValueError(f"the list {name} cannot stand in a path or a header")
        self._mentioned[name] = self._mentioned.get(name, False) or is_required
        return name

    def close(self) -> None:
        """Works out the checks once every template is compiled; ValueError for a parameter that is
        declared and in no template."""
        unused = sorted(self._declared.keys() - self._mentioned.keys())
        if unused:
            raise ValueError(f"parameter {unused[0]} is declared and never used")
        for name, is_required in self._mentioned.items():
            declared = self._declared.get(name)
            self.checks[name] = _check_of(declared.type) if declared else _check_scalar
            if is_required or (declared is not None and declared.is_required):
                self.required.append(name)

    def listed(self) -> tuple[Parameter, ...]:
        """Returns them as the catalog shows them, by name."""
        found = []
        for name in sorted(self._mentioned):
            declared = self._declared.get(name)
            kind = declared.type if declared else ParameterType.STRING
            text = declared.description if declared else ""
            found.append(Parameter(name, kind, name in self.required, text))
        return tuple(found)

    def bind(self, call: Call) -> Arguments:
        """Checks a call's parameters; INVALID_REQUEST names every one that is wrong."""
        arguments = call.parameters
        wrong: list[FieldViolation] = []
        for name, value in arguments.items():
            check = self.checks.get(name)
            problem = "is not a parameter of this operation" if check is None else check(value)
            if problem:
                wrong.append(FieldViolation(field_of(name), problem))
        missing = [name for name in self.required if name not in arguments]
        wrong += [FieldViolation(field_of(name), "is missing") for name in missing]
        if wrong:
            refuse(*wrong)
        return arguments


def _check_of(kind: ParameterType) -> Callable[[Argument], str]:
    types, problem = _TYPES[kind]

    def check(value: Argument) -> str:
        is_right = isinstance(value, types) and isinstance(value, bool) is (types == (bool,))
        return "" if is_right and _is_finite(value) else problem

    return check


def _check_scalar(value: Argument) -> str:
    is_right = isinstance(value, str) or (isinstance(value, (int, float)) and _is_finite(value))
    return "" if is_right else "must be a text, a finite number, true or false"


def _is_finite(value: Argument) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def field_of(name: str) -> str:
    """Names a parameter in a violation; a name that cannot be one of ours is not repeated."""
    return f"parameters[{name}]" if _NAME.fullmatch(name) else "parameters"


def refuse(*wrong: FieldViolation) -> NoReturn:
    """Raises INVALID_REQUEST with these violations; nothing was sent."""
    raise Failure(Reason.INVALID_REQUEST, "The request does not fit the operation.", fields=wrong)


def as_text(value: Argument) -> str:
    """Writes a scalar as upstreams read it in a query, a path or a header."""
    if isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)
