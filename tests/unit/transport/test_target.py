"""T10: values in targets."""

from __future__ import annotations

import unicodedata
from typing import Literal
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.transport.target import encode_pairs, encode_segment, is_literal_path, is_text

TRAVERSALS = [
    "", ".", "..", "../x", "x/../y", "..\\x", "%2e%2e", "..%2f", "%252e%252e", "%25252e%25252e/",
    "..;/x", "..;a", "..%5cx", "a/%2e%2e/b", "\uff0e\uff0e", "\u2024\u2024/x", ".%2e", "x/.",
    "a\x00", "a\r\nb", "a\n", "\x7f", "\ud800", "%2525252525252e", "\u2025", "\u2025/x", "\ufe30",
    "x/\uff0e", "\u3002\uff0e/..", "%uff0e/%ef%bc%8e", "a" * 8191,
]  # fmt: skip


@pytest.mark.parametrize("value", TRAVERSALS)
def test_a_traversal_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="must not"):
        encode_segment(value)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("42", "42"),
        ("a b", "a%20b"),
        ("a/b", "a%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("..a", "..a"),
        ("...", "..."),
        ("a;b=c", "a%3Bb%3Dc"),
        ("caf\xe9", "caf%C3%A9"),
        ("100%", "100%25"),
        ("~x", "~x"),
        ("//", "%2F%2F"),
        ("\u2215", "%E2%88%95"),
    ],
)
def test_a_value_is_encoded_as_one_segment(value: str, encoded: str) -> None:
    assert encode_segment(value) == encoded


def test_marks_without_end_are_folded_in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """T28: normalizing such a text takes the square of its length, eleven seconds for 160 kB."""
    longest = 0
    original = unicodedata.normalize

    def normalize(form: Literal["NFKC"], text: str) -> str:
        nonlocal longest
        longest = max(longest, len(text))
        return original(form, text)

    monkeypatch.setattr(unicodedata, "normalize", normalize)
    assert encode_segment("a" + "\u0300\u0316" * 4000).startswith("a%CC%80")
    assert longest == 1
    with pytest.raises(ValueError, match="longer than 8190"):
        encode_segment("\u0300\u0316" * 100_000)


@given(st.text())
def test_whatever_passes_is_one_segment_that_means_the_value(value: str) -> None:
    try:
        encoded = encode_segment(value)
    except ValueError:
        return
    assert unquote(encoded) == value
    assert not set(encoded) & set("/?#\\ ;%") - {"%"}
    assert encoded not in (".", "..")


@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
    )
)
def test_pairs_come_back_as_they_were(pairs: list[tuple[str, str]]) -> None:
    text = encode_pairs(pairs)
    assert text.isascii()
    assert parse_qsl(text, keep_blank_values=True) == [pair for pair in pairs if any(pair) or True]


@pytest.mark.parametrize("path", ["", "/", "/a/b", "/v1/a%20b", "/a;x=1/~b", "/a.b/...c"])
def test_a_literal_path_is_written_as_it_goes_out(path: str) -> None:
    assert is_literal_path(path)


@pytest.mark.parametrize(
    "path", ["a", "/a b", "/a?b", "/a#b", "/../a", "/a/./b", "/%2e%2e", "/%zz"]
)
def test_anything_else_is_no_literal_path(path: str) -> None:
    assert not is_literal_path(path)


def test_control_characters_are_no_text() -> None:
    assert is_text("caf\xe9 \u2028")
    assert not is_text("\x1b[0m")
