"""What is written right and makes no sense is a warning at its place."""

from pathlib import Path

import pytest
from manifest_rig import build_text

from interlaced.manifest.codes import Code

HEAD = "interlace: 1\nconnector: a\nupstream: {rest: http://x}\n"


@pytest.mark.parametrize(
    ("text", "line", "column", "code"),
    [
        ("policy: {deadline: 1s, attempt_timeout: 2s}\n", 4, 41, Code.ATTEMPT_OVER_DEADLINE),
        ("policy: {deadline: 1s, retry: {max_wait: 2s}}\n", 4, 42, Code.WAIT_OVER_DEADLINE),
        (
            "operations:\n  X: {get: /x, policy: {attempt_timeout: 1m}}\n",
            5, 42, Code.ATTEMPT_OVER_DEADLINE,
        ),
        (
            "operations:\n  X: {post: /x, policy: {retry: {attempts: 3}}}\n",
            5, 44, Code.UNSAFE_RETRY,
        ),
    ],
)  # fmt: skip
def test_it_is_told(tmp_path: Path, text: str, line: int, column: int, code: Code) -> None:
    (problem,) = build_text(tmp_path, HEAD + text).warnings
    assert (problem.line, problem.column, problem.code) == (line, column, code)


@pytest.mark.parametrize(
    "text",
    [
        "policy: {deadline: 5s}\n",
        "policy: {attempt_timeout: 4s}\noperations:\n  X: {get: /x, policy: {deadline: 2s}}\n",
        "operations:\n  X: {get: /x, policy: {retry: {attempts: 3}}}\n",
        "operations:\n  X: {post: /x, policy: {retry: {attempts: 1}}}\n",
        "operations:\n  X: {post: /x, effect: safe, policy: {retry: {attempts: 3}}}\n",
        "operations:\n  X: {post: /x, idempotency_header: K, policy: {retry: {attempts: 3}}}\n",
    ],
)
def test_what_makes_sense_is_not_told(tmp_path: Path, text: str) -> None:
    assert build_text(tmp_path, HEAD + text).warnings == ()
