"""Real documents that other people wrote, through a call: untouched, or transcoded without loss."""

from __future__ import annotations

import json
import lzma
import os
from pathlib import Path

import msgpack
import pytest
from raw_http import RawServer, ok
from served import served

from interlace import Client

PAYLOADS = Path(os.environ.get("INTERLACE_VECTORS", "../shared/vectors")) / "payloads"
DOCUMENTS = sorted(PAYLOADS.glob("*.json.xz"))
MANIFEST = """
interlace: 1
connector: web
upstream: {rest: "${env:URL}", allow_private: [127.0.0.1/32]}
operations: {Get: {get: /document}}
"""


@pytest.fixture(params=DOCUMENTS, ids=lambda path: path.name.partition(".")[0])
def document(request: pytest.FixtureRequest) -> bytes:
    return lzma.decompress(request.param.read_bytes())


async def test_a_real_document_passes_untouched_and_as_messagepack(
    document: bytes, tmp_path: Path
) -> None:
    (tmp_path / "web.yaml").write_text(MANIFEST)
    async with (
        RawServer(default=ok(document)) as upstream,
        served(tmp_path, environment={"URL": upstream.origin}) as service,
        Client(service.address) as client,
    ):
        plain = await client.call("web", "Get")
        assert plain.media_type == "application/json"
        assert plain.data == document
        packed = await client.call("web", "Get", accept=["application/msgpack"])
        assert packed.media_type == "application/msgpack"
        assert msgpack.unpackb(packed.data) == json.loads(document)
