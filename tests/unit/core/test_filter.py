"""Filters match what they say, and have one canonical form."""

from __future__ import annotations

from feed_rig import event

from interlaced.core.filter import Filter, Match

ONE = event(1, type="order.created", subject="42", key="a")


def test_every_rule_must_match() -> None:
    assert Filter().matches(ONE)
    assert Filter(type=Match("order.", is_prefix=True)).matches(ONE)
    assert Filter(type=Match("order.created"), key=Match("a")).matches(ONE)
    assert not Filter(type=Match("order.created"), key=Match("b")).matches(ONE)
    assert not Filter(source=Match("order")).matches(ONE)
    assert not Filter(subject=Match("4")).matches(ONE)


def test_equal_filters_have_equal_bytes_and_others_do_not() -> None:
    forms = [
        Filter(),
        Filter(type=Match("a")),
        Filter(type=Match("a", is_prefix=True)),
        Filter(source=Match("a")),
        Filter(type=Match("a"), source=Match("b")),
        Filter(type=Match("asource=1:b")),
    ]
    assert len({form.canonical for form in forms}) == len(forms)
    assert Filter(type=Match("a")).canonical == Filter(type=Match("a")).canonical


def test_an_empty_prefix_is_no_rule_but_an_empty_text_is() -> None:
    assert Filter(type=Match("", is_prefix=True)).canonical == b""
    assert not Filter(type=Match("")).matches(ONE)
