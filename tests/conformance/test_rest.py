"""The connector suite on the rest kind."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from rest_rig import RestRig, rest_rig

from interlaced.testing.connector_suite import ConnectorSuite


class TestRest(ConnectorSuite):
    """The rest kind passes every clause."""

    def rig(self) -> AbstractAsyncContextManager[RestRig]:
        return rest_rig()


class TestRestOnAiohttp(ConnectorSuite):
    """And so it does on its other transport."""

    def rig(self) -> AbstractAsyncContextManager[RestRig]:
        return rest_rig(transport="aiohttp")
