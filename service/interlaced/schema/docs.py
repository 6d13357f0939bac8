"""What the source of a class says about its attributes: the texts that stand below them."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from itertools import pairwise

__all__ = ["docs_of"]


@functools.cache
def docs_of(cls: type) -> Mapping[str, str]:
    """Return the text below each annotated attribute of a class and of those it is made from.

    A class whose source is not at hand has none.
    """
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        if inspect.get_annotations(each):
            found.update(_own_docs(each))
    return found


def _own_docs(cls: type) -> Iterator[tuple[str, str]]:
    for attribute, text in pairwise(_body(cls)):
        if (
            isinstance(attribute, ast.AnnAssign)
            and isinstance(attribute.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            yield attribute.target.id, inspect.cleandoc(text.value.value)


def _body(cls: type) -> list[ast.stmt]:
    try:
        source = inspect.getsource(cls)
    except (OSError, TypeError):
        return []
    found = ast.parse(textwrap.dedent(source)).body[0]
    return found.body if isinstance(found, ast.ClassDef) else []
