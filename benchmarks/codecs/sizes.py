"""How large the encoded bytes are: raw, and as gzip and zstd make them at their usual levels."""

from __future__ import annotations

import gzip

import zstandard

__all__ = ["GZIP_LEVEL", "ZSTD_LEVEL", "sizes_of"]

GZIP_LEVEL = 6
ZSTD_LEVEL = 3


def sizes_of(raw: bytes) -> dict[str, float]:
    """Return the sizes of `raw` in bytes, by `raw`, `gzip` and `zstd`."""
    return {
        "raw": len(raw),
        "gzip": len(gzip.compress(raw, GZIP_LEVEL, mtime=0)),
        "zstd": len(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(raw)),
    }
