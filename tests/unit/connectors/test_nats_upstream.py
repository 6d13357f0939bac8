"""What the nats kind asks JetStream, without a server; `tests/live` has one."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from fake_link import FakeMessage

from interlaced.connectors.nats.config import StreamConfig, UpstreamConfig
from interlaced.connectors.nats_upstream import Upstream
from interlaced.core.failure import Failure, Reached, Reason
from interlaced.testing.fakes import make_tools
from interlaced.transport.nats_link import Link

STREAM = {
    "created": "2026-01-01T00:00:00Z",
    "state": {"first_seq": 3, "last_seq": 9, "first_ts": "2026-01-01T00:00:00Z"},
}
MISSING = {"error": {"code": 404, "err_code": 10059, "description": "stream not found"}}


@dataclass
class Broker:
    """A link whose far side answers from a script."""

    answers: list[object]
    asked: list[tuple[str, bytes]] = field(default_factory=list)

    async def ask(self, subject: str, data: bytes = b"", *, seconds: float) -> FakeMessage:
        self.asked.append((subject, data))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return FakeMessage(data=json.dumps(answer).encode())

    def as_link(self) -> Link:
        return cast("Link", self)


def make_upstream(**settings: Any) -> Upstream:
    # Port 1 refuses.
    config = UpstreamConfig.model_validate({"nats": "nats://127.0.0.1:1", **settings})
    ours = StreamConfig.model_validate({"subjects": ["orders.>"]})
    return Upstream(config, {"ORDERS": ours}, make_tools())


async def test_a_stream_that_is_there_is_left_as_it_is() -> None:
    broker = Broker([STREAM])
    facts = await make_upstream().stream(broker.as_link(), "ORDERS")
    assert (facts.first, facts.last) == (3, 9)
    assert broker.asked == [("$JS.API.STREAM.INFO.ORDERS", b"")]


async def test_a_missing_stream_of_ours_is_created() -> None:
    broker = Broker([MISSING, STREAM])
    facts = await make_upstream().stream(broker.as_link(), "ORDERS")
    assert facts.last == 9
    subject, request = broker.asked[1]
    assert subject == "$JS.API.STREAM.CREATE.ORDERS"
    assert json.loads(request)["subjects"] == ["orders.>"]


async def test_a_missing_stream_that_is_not_ours_stays_missing() -> None:
    broker = Broker([MISSING])
    with pytest.raises(Failure) as missing:
        await make_upstream().stream(broker.as_link(), "OTHERS")
    assert missing.value.reason is Reason.UPSTREAM_PRECONDITION
    assert len(broker.asked) == 1


async def test_a_request_without_an_answer_may_have_been_served() -> None:
    with pytest.raises(Failure) as silent:
        await make_upstream().api(Broker([TimeoutError()]).as_link(), "STREAM.INFO.ORDERS")
    assert silent.value.reason is Reason.UPSTREAM_TIMEOUT
    assert silent.value.reached is Reached.MAYBE


async def test_a_server_that_is_away_is_a_failed_connect() -> None:
    with pytest.raises(Failure) as away:
        await make_upstream(connect_timeout="1s").connect()
    assert away.value.reason is Reason.UPSTREAM_CONNECT
    assert away.value.reached is Reached.NOT_SENT


def test_one_tls_address_is_enough_to_verify_the_servers() -> None:
    plain, verified = make_upstream(), make_upstream(nats=["nats://a", "tls://b"])
    assert plain._settings.tls is None
    assert isinstance(verified._settings.tls, ssl.SSLContext)
    assert verified._settings.tls.verify_mode is ssl.CERT_REQUIRED


def test_credentials_are_handed_on_and_never_shown() -> None:
    settings = make_upstream(auth={"user": "app", "password": "swordfish"})._settings
    assert (settings.user, settings.password.reveal()) == ("app", "swordfish")
    assert "swordfish" not in repr(settings)
