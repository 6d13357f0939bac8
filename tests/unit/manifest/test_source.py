"""YAML is read as values with their places, and whatever is dangerous is refused (T7)."""

import math
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interlaced.manifest.codes import Code
from interlaced.manifest.source import LARGEST_FILE, MapNode, ScalarNode, Span, read_source

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{name}'] * 9)}]\n"
    for name, after in zip("abcdefgh", "bcdefghi", strict=True)
)


def only_value(text: str) -> object:
    source = read_source("x", f"k: {text}\n".encode())
    assert source.findings == []
    (document,) = source.documents
    assert isinstance(document, MapNode)
    node = document.entries["k"].value
    assert isinstance(node, ScalarNode)
    return node.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        ("0o7", 7),
        ("0x1F", 31),
        ("-12", -12),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("'true'", "true"),
        ('"12"', "12"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        (".5", 0.5),
        ("1" * 400, "1" * 400),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    """T7: none of YAML 1.1's coercions."""
    found = only_value(text)
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_a_float() -> None:
    assert math.isnan(float(str(only_value(".nan"))))


def test_every_key_and_value_knows_its_place() -> None:
    (document,) = read_source("x", b"a:\n  b: [1, 'two']\n").documents
    assert isinstance(document, MapNode)
    inner = document.entries["a"].value
    assert isinstance(inner, MapNode)
    entry = inner.entries["b"]
    assert entry.key.span == Span(1, 2, 1, 3)
    assert entry.value.span == Span(1, 5, 1, 15)


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a: 1\na: 2\n", Code.DUPLICATE_KEY, 1, 0),
        ("a: {b: 1, b: 2}\n", Code.DUPLICATE_KEY, 0, 10),
        ("a: !!python/object/apply:os.system [ls]\n", Code.TAG, 0, 3),
        ("a: !!int 3\n", Code.TAG, 0, 3),
        ("a: ! 3\n", Code.TAG, 0, 3),
        ("%TAG !e! tag:x,2000:\n---\na: 1\n", Code.TAG, 1, 0),
        ("%YAML 1.1\n---\na: 1\n", Code.BAD_YAML, 1, 0),
        (LAUGHS, Code.TOO_LARGE, 4, 11),
        ("a: &x [*x]\n", Code.ALIAS, 0, 7),
        ("a: *nowhere\n", Code.ALIAS, 0, 3),
        ("a: &x 1\n---\nb: *x\n", Code.ALIAS, 2, 3),
        ("a: &x 1\nb: [" + "*x, " * 65 + "1]\n", Code.ALIAS, 1, 260),
        ("[" * 40, Code.TOO_DEEP, 0, 32),
        ("? [a]\n: 1\n", Code.KEY_NOT_TEXT, 0, 2),
        ("true: 1\n", Code.KEY_NOT_TEXT, 0, 0),
        ("~: 1\n", Code.KEY_NOT_TEXT, 0, 0),
        ("1.5: 1\n", Code.KEY_NOT_TEXT, 0, 0),
        ("a: b: c\n", Code.BAD_YAML, 0, 4),
        ("a: [1\n", Code.BAD_YAML, 1, 0),
        ("a: 'x\n", Code.BAD_YAML, 1, 0),
        ("a:\n\t- b\n", Code.BAD_YAML, 1, 0),
    ],
)
def test_what_is_refused_is_told_with_its_place(
    text: str, code: Code, line: int, column: int
) -> None:
    """T7: tags, alias bombs, duplicate keys, depth."""
    (finding,) = read_source("x", text.encode()).findings
    assert finding.span is not None
    assert (finding.code, finding.span.line, finding.span.column) == (code, line, column)


def test_a_whole_number_may_be_a_key() -> None:
    (document,) = read_source("x", b"errors: {404: gone}\n").documents
    assert isinstance(document, MapNode)
    inner = document.entries["errors"].value
    assert isinstance(inner, MapNode)
    assert list(inner.entries) == ["404"]


def test_an_alias_within_a_document_is_read_as_its_anchor() -> None:
    source = read_source("x", b"a: &x {k: 1}\nb: *x\n")
    (document,) = source.documents
    assert isinstance(document, MapNode)
    assert document.entries["a"].value is document.entries["b"].value


@pytest.mark.parametrize("data", [b"a: \xff\n", b"a: \x00\n", b"\x80", "a: 1".encode("utf-16-le")])
def test_bytes_that_are_no_text_are_refused(data: bytes) -> None:
    source = read_source("x", data)
    assert [finding.code for finding in source.findings] == [Code.BAD_YAML]


def test_a_file_of_a_mebibyte_is_read_and_one_byte_more_is_not() -> None:
    assert read_source("x", b"#" * LARGEST_FILE).findings == []
    (finding,) = read_source("x", b"#" * (LARGEST_FILE + 1)).findings
    assert finding.code is Code.TOO_LARGE
    assert "1 MiB" in finding.message


@pytest.mark.parametrize("text", ["[" * 500_000, "- " * 400_000, "{a: " * 200_000, LAUGHS * 3])
def test_hostile_files_cost_little(text: str) -> None:
    """T7: a loose hang limit; without the limits these take minutes."""
    start = time.monotonic()
    assert read_source("x", text.encode()).findings
    assert time.monotonic() - start < 20


@given(st.binary(max_size=200) | st.text(alphabet="ab:-[]{}&*!|>'\"%#?, \n\t", max_size=80))
@example(b"\xef\xbb\xbfa: 1")
@example("|9\n")
@example("? ")
def test_any_bytes_are_read_or_refused(data: bytes | str) -> None:
    source = read_source("x", data if isinstance(data, bytes) else data.encode())
    assert source.documents is not None
