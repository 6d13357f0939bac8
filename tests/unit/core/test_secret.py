"""A Secret cannot be printed (P49)."""

from __future__ import annotations

import copy
import pickle

import pytest

from interlaced.core.secret import Secret


def test_p49_nothing_that_prints_shows_it() -> None:
    secret = Secret("canary")
    shown = f"{secret} {secret!r} {secret!s} {secret:>10} {[secret]} { ({'k': secret}) }"
    assert "canary" not in shown
    assert secret.reveal() == "canary"


def test_it_cannot_be_pickled_or_copied_into_a_dump() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret("canary"))
    with pytest.raises(TypeError):
        copy.deepcopy(Secret("canary"))


def test_equal_secrets_are_equal_and_nothing_else_is() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert hash(Secret("a")) == hash(Secret("a"))
    assert not Secret("")
