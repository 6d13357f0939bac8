"""What codecs have in common."""

from __future__ import annotations

import pytest

from interlaced.codecs import json, msgpack
from interlaced.codecs.codec import Codec, CodecError


@pytest.mark.parametrize("codec", [json, msgpack])
def test_a_refusal_says_where_and_never_what(codec: Codec) -> None:
    with pytest.raises(CodecError) as caught:
        codec.decode(b'{"password": "canary"')
    assert "canary" not in str(caught.value) + caught.value.place


def test_json_names_the_place() -> None:
    with pytest.raises(CodecError) as caught:
        json.decode(b'{"a": x}')
    assert caught.value.place == "character 6"
