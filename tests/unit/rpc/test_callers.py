"""API keys of callers."""

from __future__ import annotations

import pytest

from interlaced.core.failure import Failure, Reason
from interlaced.core.secret import Secret
from interlaced.rpc.callers import require_api_key

KEYS = (Secret("first-key"), Secret("second-key"))


@pytest.mark.parametrize(
    ("metadata", "caller"),
    [
        ({"authorization": "Bearer first-key"}, "key-0"),
        ({"authorization": "bearer  second-key "}, "key-1"),
        ({"x-api-key": "second-key"}, "key-1"),
    ],
)
def test_either_header_is_taken(metadata: dict[str, str], caller: str) -> None:
    assert require_api_key(KEYS)(metadata, {}) == caller


@pytest.mark.parametrize(
    "metadata",
    [{}, {"authorization": "Bearer "}, {"authorization": "first-key"}, {"x-api-key": "first-key "}],
)
def test_t36_whatever_is_wrong_the_answer_is_the_same(metadata: dict[str, str]) -> None:
    with pytest.raises(Failure) as refused:
        require_api_key(KEYS)(metadata, {})
    assert refused.value.reason is Reason.CALLER_UNAUTHENTICATED
    assert refused.value.message == "an API key of this service is needed"
    assert not refused.value.context
