"""How a feed is served: the bounds of its ring, as its settings say them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interlaced.core.backoff import Backoff
from interlaced.core.ports import Feed, FeedBinding
from interlaced.manifest.manifests import Manifest

__all__ = ["bind_feed"]


def bind_feed(manifest: Manifest, feed: Feed) -> FeedBinding:
    """Returns the binding of a feed under its full name.

    Kinds that let people bound a feed call it `retain` and `ring: {events, bytes}` in the feed and
    `reconnect` in the upstream; what a kind has not is the default. The digest is the connector's:
    a feed reads through its connector's connections, and ends with them.
    """
    settings = _settings(manifest, feed.name)
    bounds: dict[str, Any] = {}
    retain, ring = getattr(settings, "retain", None), getattr(settings, "ring", None)
    reconnect = getattr(getattr(manifest.config, "upstream", None), "reconnect", None)
    if isinstance(retain, int | float):
        bounds["retain"] = float(retain)
    if ring is not None:
        bounds |= {"ring_events": ring.events, "ring_bytes": ring.bytes}
    if isinstance(reconnect, Backoff):
        bounds["reconnect"] = reconnect
    name = f"{manifest.name}.{feed.name}"
    return FeedBinding(
        name=name, feed=feed, connector=manifest.name, digest=manifest.digest, **bounds
    )


def _settings(manifest: Manifest, name: str) -> object:
    """Returns the feed's own settings; dead letters have those of their feed."""
    feeds = getattr(manifest.config, "feeds", None)
    if not isinstance(feeds, Mapping):
        return None
    return feeds.get(name, feeds.get(name.removesuffix(".dead")))
