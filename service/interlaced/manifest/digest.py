"""Digests of configuration: a private one that sees secrets, and a public one that does not."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable

from interlaced.manifest.source import ListNode, MapNode, Node, ScalarNode

__all__ = ["private_digest", "public_hash"]

_KEY = secrets.token_bytes(32)


def private_digest(values: object) -> str:
    """Returns a digest of plain values, keyed by this process: it covers secrets, and whoever
    sees it cannot test a guess."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), default=repr)
    return hashlib.blake2b(
        text.encode(errors="surrogatepass"), digest_size=16, key=_KEY
    ).hexdigest()


def public_hash(documents: Iterable[tuple[Node, frozenset[int]]]) -> str:
    """Returns a hash of documents as they are written, references unresolved, that is equal on
    every machine. Each document comes with the ids of its nodes that are secrets; these are left
    out, for the hash is told to anybody."""
    texts = sorted(
        json.dumps(_written(document, hidden), separators=(",", ":"))
        for document, hidden in documents
    )
    return hashlib.blake2b(
        "\n".join(texts).encode(errors="surrogatepass"), digest_size=16
    ).hexdigest()


def _written(node: Node, hidden: frozenset[int]) -> object:
    """Returns a node as a value that JSON can write, in the order of its keys."""
    if id(node) in hidden:
        return None
    if isinstance(node, MapNode):
        entries = sorted(node.entries.items())
        return {"map": [[key, _written(entry.value, hidden)] for key, entry in entries]}
    if isinstance(node, ListNode):
        return [_written(item, hidden) for item in node.items]
    return _scalar(node)


def _scalar(node: ScalarNode) -> object:
    value = node.value
    return value if isinstance(value, str) else {"plain": repr(value)}
