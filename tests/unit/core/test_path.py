"""The path form and JSON Pointers lead to one value or to none, and never raise on data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.core.path import MISSING, Path, compile_path, compile_pointer

DOCUMENT = {
    "a": {"b": [{"c": 1}, {"c": None}]},
    "with space": 2,
    "it's": 3,
    "dash-ed": 4,
    "": 5,
    "m~n/o": 6,
    "0": 7,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$", DOCUMENT),
        ("$.a.b[0].c", 1),
        ("$.a.b[-2].c", 1),
        ("$.a.b[1].c", None),
        ("$.a.b[2].c", MISSING),
        ("$.a.b[-3]", MISSING),
        ("$['with space']", 2),
        ('$["with space"]', 2),
        (r"$['it\'s']", 3),
        ("$.dash-ed", 4),
        ("$['']", 5),
        ("$.a[0]", MISSING),
        ("$.a.b.c", MISSING),
        ("$.nothing.at.all", MISSING),
        ("$.nothing", MISSING),
    ],
)
def test_a_path_leads_to_one_value_or_none(text: str, expected: object) -> None:
    assert compile_path(text).extract(DOCUMENT) == expected


@pytest.mark.parametrize(
    ("text", "root", "steps"),
    [
        ("$req.name", "req", ("name",)),
        ("$payload", "payload", ()),
        ("$resume.seq[3]", "resume", ("seq", 3)),
        ("$.x", "", ("x",)),
    ],
)
def test_a_path_tells_its_root(text: str, root: str, steps: tuple[object, ...]) -> None:
    path = compile_path(text)
    assert (path.root, path.steps, str(path)) == (root, steps, text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a.b", "beginning with \\$"),
        ("", "beginning with \\$"),
        ("$.", "at character 2"),
        ("$.a[", "at character 4"),
        ("$.a[01]", "at character 4"),
        ("$.a..b", "at character 4"),
        ("$.a b", "at character 4"),
        ("$.a[*]", "at character 4"),
        ("$.a\n", "at character 4"),
        ("$" + ".a" * 1000, "at most 1024"),
    ],
)
def test_a_bad_path_is_told_with_its_place(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        compile_path(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", DOCUMENT),
        ("/a/b/0/c", 1),
        ("/a/b/00", MISSING),
        ("/a/b/-", MISSING),
        ("/a/b/2", MISSING),
        ("/m~0n~1o", 6),
        ("/0", 7),
        ("/", 5),
        ("/a/b/0/c/d", MISSING),
        ("/with space", 2),
    ],
)
def test_a_pointer_follows_rfc_6901(text: str, expected: object) -> None:
    assert compile_pointer(text).extract(DOCUMENT) == expected


@pytest.mark.parametrize("text", ["a", "/~", "/~2", "/" * 2000])
def test_a_bad_pointer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        compile_pointer(text)


def test_paths_are_equal_by_text() -> None:
    assert compile_path("$.a") == compile_path("$.a")
    assert compile_path("$.a") != compile_path("$.b")
    assert len({compile_path("$.a"), compile_path("$.a")}) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values, st.text(alphabet="$.[]'\"-~/ab01\\ ", max_size=20))
def test_no_text_and_no_value_make_it_raise_anything_else(value: object, text: str) -> None:
    for compiler in (compile_path, compile_pointer):
        try:
            path = compiler(text)
        except ValueError:
            continue
        assert isinstance(path, Path)
        path.extract(value)


@given(st.lists(st.text() | st.integers(0, 3), max_size=5))
def test_every_place_of_a_document_has_a_pointer(places: list[str | int]) -> None:
    value: object = "found"
    for place in reversed(places):
        value = {place: value} if isinstance(place, str) else [*[0, 1, 2, 3][:place], value]
    text = "".join(f"/{str(place).replace('~', '~0').replace('/', '~1')}" for place in places)
    if len(text) <= 1024:
        assert compile_pointer(text).extract(value) == "found"
