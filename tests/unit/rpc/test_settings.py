from __future__ import annotations

import pytest
from pydantic import ValidationError

from interlaced.rpc.settings import RpcSettings


def test_the_defaults_are_the_documented_ones() -> None:
    settings = RpcSettings()
    assert settings.max_message == 4 * 1024 * 1024
    assert (settings.default_deadline, settings.max_deadline) == (30.0, 300.0)
    assert (settings.session_in_flight, settings.max_branches) == (256, 256)
    assert settings.min_ping_interval == 10.0


def test_texts_are_read_and_nonsense_is_refused() -> None:
    assert RpcSettings.model_validate({"max_message": "1MiB"}).max_message == 1024 * 1024
    for wrong in ({"session_in_flight": 0}, {"nothing": 1}, {"max_deadline": "soon"}):
        with pytest.raises(ValidationError):
            RpcSettings.model_validate(wrong)
