"""The source suite on the websocket kind, against a server of another library."""

from __future__ import annotations

import pytest
from websocket_case import WebSocketCase

from interlaced.connectors.websocket.connector import CAPABILITY
from interlaced.testing.source_suite import SourceSuite


@pytest.fixture
def case() -> WebSocketCase:
    return WebSocketCase()


class TestWebSocketFeed(SourceSuite):
    """A feed over a WebSocket promises little, and keeps that."""

    capability = CAPABILITY
    can = frozenset({"cut"})
