from __future__ import annotations

import pytest

from interlaced.core.model import Payload
from interlaced.core.path import compile_pointer
from interlaced.rpc.extract import extract


def found(data: bytes, *pointers: str, media_type: str = "application/json") -> list[object]:
    paths = [compile_pointer(pointer) for pointer in pointers]
    return list(extract(Payload(media_type, data), paths))


def test_scalars_and_lists_become_arguments() -> None:
    data = b'{"id": 7, "name": "x", "share": 0.5, "ok": true, "tags": ["a", 1, false]}'
    assert found(data, "/id", "/name", "/share", "/ok", "/tags") == [
        7,
        "x",
        0.5,
        True,
        ("a", "1", "false"),
    ]


def test_what_is_no_argument_is_none() -> None:
    data = b'{"object": {"id": 1}, "null": null, "list": [{}]}'
    assert found(data, "/object", "/null", "/list", "/nothing") == [None] * 4


def test_json_by_another_name_is_json() -> None:
    assert found(b"[1]", "/0", media_type="application/hal+json; charset=utf-8") == [1]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"{", "application/json"),
        (b"{}", "text/plain"),
        (b"[" * 100_000, "application/json"),
        (b"1e999", "application/json"),
    ],
)
def test_what_is_not_json_is_a_value_error(data: bytes, kind: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # whatever the decoder says
        found(data, "/id", media_type=kind)
