"""P12, F13: JSON without loss."""

from __future__ import annotations

import json as python_json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.codecs import json
from interlaced.codecs.codec import CodecError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)  # fmt: skip


@given(VALUES)
def test_every_value_comes_back(value: object) -> None:
    assert json.decode(json.encode(value)) == value
    assert json.decode(python_json.dumps(value).encode()) == value


BAD = [
    b"", b" ", b"{", b"[1,]", b"{'a':1}", b"nul", b"01", b"1.", b".5", b"+1", b"[1 2]", b"\"a",
    b"NaN", b"Infinity", b"-Infinity", b"[NaN]", b'{"a":1,"a":2}', b'{"x":[{"a":1,"b":2,"a":1}]}',
    b"\xff", b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b'"\\ud800"', b'{"\\udc00":1}',
    b"[" * 100_000, b"<html></html>", b"{} {}", b'"\x01"', b"1" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("data", BAD, ids=lambda data: repr(data[:20]))
def test_what_is_not_json_or_means_two_things_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError) as caught:
        json.decode(data)
    shown = str(caught.value) + caught.value.place
    assert len(shown) < 100


@pytest.mark.parametrize(
    "text",
    ["1.10", "0.1", "-0.0", "1e22", "123456789012345.0", "1E5", "5e-324", "0.30000000000000004"],
)
def test_a_number_that_a_double_holds_passes(text: str) -> None:
    assert json.decode(text.encode()) == float(text)


@pytest.mark.parametrize(
    "text",
    [
        "1e400",
        "-1e400",
        "1e-400",
        "0.12345678901234567890123",
        "9007199254740993.0",
        "123456789012345678.5",
    ],
)
def test_a_number_that_a_double_would_round_is_an_error(text: str) -> None:
    with pytest.raises(CodecError):
        json.decode(f'{{"price": {text}}}'.encode())


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 2**64 + 1, 10**40, -(2**63) - 1])
def test_integers_of_any_size_pass(number: int) -> None:
    assert json.encode(json.decode(str(number).encode())) == str(number).encode()


@pytest.mark.parametrize(
    "value", [b"a", {1: 2}, {None: 1}, float("nan"), float("inf"), "\ud800", {1, 2}, [object()]]
)
def test_what_json_cannot_hold_is_an_error(value: object) -> None:
    with pytest.raises(CodecError):
        json.encode(value)


@pytest.mark.parametrize("data", [b" {} ", b"[1]", b'"a"', b"-1", b"true", b"null", b"false"])
def test_json_looks_like_json(data: bytes) -> None:
    assert json.looks_like_json(data)


@pytest.mark.parametrize(
    "data", [b"", b"  ", b"<html>", b"login: 1", b"{} <!-- -->", b"\xef\xbb\xbf{}"]
)
def test_a_page_does_not(data: bytes) -> None:
    assert not json.looks_like_json(data)


@pytest.mark.parametrize(
    "text",
    [
        "-65.613616999999977",
        "1e300",
        "0.1",
        "100.0",
        "5e-324",
        "0.0",
        "-0.0",
        "1.7976931348623157e308",
    ],
)
def test_a_number_as_a_printer_of_doubles_writes_it_is_read(text: str) -> None:
    assert json.decode(text.encode()) == float(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_is_read_however_many_of_its_digits_were_printed(number: float) -> None:
    assert json.decode(f"[{number!r}]".encode()) == [number]
    assert json.decode(f"[{number:.16e}]".encode()) == [number]


@pytest.mark.parametrize("text", ["0e99999999999999999999", "-0.0e-99999999999999999999", "0E+9"])
def test_a_zero_is_zero_whatever_its_exponent(text: str) -> None:
    """An exponent beyond what Decimal holds is no error of ours."""
    assert json.decode(text.encode()) == 0.0


def test_an_object_has_each_key_once() -> None:
    assert json.read_object([("a", 1), ("b", 2)]) == {"a": 1, "b": 2}
    with pytest.raises(ValueError, match="twice"):
        json.read_object([("a", 1), ("a", 1)])
