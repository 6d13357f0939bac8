"""T8: what may stand in a header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.transport.headers import check_header, is_name, is_value


@pytest.mark.parametrize("value", ["", "a", "a b", "a\tb", "~", "a" * 5000, '{"a": 1}'])
def test_one_line_of_ascii_passes(value: str) -> None:
    assert is_value(value)


@pytest.mark.parametrize(
    "value",
    [
        "a\r",
        "a\n",
        "a\r\nb: c",
        "a\x00",
        "\x7f",
        "\u010a",
        "\x85",
        " a",
        "a\t",
        "\u2028",
        "\ud800",
        "caf\xe9",
    ],
)
def test_what_would_become_something_else_on_the_wire_is_refused(value: str) -> None:
    """U+010A ends in the byte of a line feed; the C1 control U+0085 is a line end to some; a letter
    beyond ASCII is one byte to one library and two to another."""
    assert not is_value(value)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "\xe9", "(a)", "a" * 257])
def test_what_is_no_token_is_no_name(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(ValueError, match="not a header name"):
        check_header(name)


@pytest.mark.parametrize("name", ["Host", "content-LENGTH", "Transfer-Encoding", "TE", "Expect"])
def test_framing_belongs_to_the_transport(name: str) -> None:
    with pytest.raises(ValueError, match="belongs to the transport"):
        check_header(name, "x")


@given(st.text())
def test_a_value_that_passes_is_one_line_of_the_same_letters(value: str) -> None:
    if is_value(value):
        wire = value.encode("ascii")
        assert len(wire.splitlines()) <= 1
        assert wire == value.encode("utf-8") == value.encode("latin-1")
