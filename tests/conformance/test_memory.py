"""The suites on the memory kind."""

from __future__ import annotations

import pytest
from memory_rig import FEED, SINK, MemoryCase

from interlaced.testing.sink_suite import SinkSuite
from interlaced.testing.source_suite import SourceSuite


@pytest.fixture
def case() -> MemoryCase:
    return MemoryCase()


class TestMemoryFeed(SourceSuite):
    """A topic passes every clause of a source."""

    capability = FEED
    can = frozenset({"expire", "rebuild", "dead"})


class TestMemorySink(SinkSuite):
    """A topic passes every clause of a sink."""

    capability = SINK
    can = frozenset({"positions", "dedupe", "limit"})
