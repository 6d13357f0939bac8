"""How the asking verbs reach a service, read their arguments, and end."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import grpc
import pytest
from certificates import Authority
from command import DevService, invoke, run

from interlace import Client, InterlaceError, Unavailable
from interlace.errors import ErrorFacts, FieldViolation
from interlaced.cli.connect import (
    Server,
    as_json,
    bytes_of,
    describe,
    pairs,
    seconds,
    split_name,
    typed,
)
from interlaced.cli.connect import run as run_work
from interlaced.cli.output import CommandError


def error(code: grpc.StatusCode, reason: str = "", **facts: object) -> InterlaceError:
    return InterlaceError(ErrorFacts(code=code, reason=reason, message="a text", **facts))  # type: ignore[arg-type]  # a test's own facts


@pytest.mark.parametrize("name", ["shop", "shop.", ".GetProduct", ""])
def test_a_name_without_its_connector_is_a_usage_error(name: str) -> None:
    with pytest.raises(CommandError, match=r"expected CONNECTOR\.FEED") as refused:
        split_name(name, "FEED")
    assert refused.value.code == 2
    assert split_name("orders.Orders.dead", "FEED") == ("orders", "Orders.dead")


def test_pairs_keep_what_follows_the_first_equals_sign() -> None:
    assert pairs(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    with pytest.raises(CommandError, match="expected NAME=VALUE"):
        pairs(["novalue"])


def test_a_duration_has_a_unit() -> None:
    assert seconds("") is None
    assert seconds("250ms") == 0.25
    with pytest.raises(CommandError, match="expected a duration such as"):
        seconds("5")


def test_a_body_is_a_text_a_file_or_the_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "body").write_bytes(b"\x00\x01")
    assert bytes_of('{"a": 1}') == b'{"a": 1}'
    assert bytes_of(f"@{tmp_path / 'body'}") == b"\x00\x01"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped")))
    assert bytes_of("@-") == b"piped"
    with pytest.raises(CommandError, match="cannot be read"):
        bytes_of(f"@{tmp_path / 'nothing'}")


def test_a_body_is_shown_as_json_as_text_or_by_its_size() -> None:
    assert as_json(b'{"a": 1}', "application/json") == {"a": 1}
    assert as_json(b"{", "application/json") == "{"
    assert as_json(b"plain", "text/plain") == "plain"
    assert as_json(b"\xff\xfe", "image/png") == "<2 bytes of image/png>"


async def test_texts_get_the_types_that_the_catalog_declares(dev: DevService) -> None:
    async with Client(dev.grpc) as service:
        listed = await typed(service, "shop", "ListProducts", {"limit": "3", "after": "4"})
        assert listed == {"limit": 3, "after": "4"}
        # What does not fit stays text, so that the service says what is wrong.
        assert await typed(service, "shop", "ListProducts", {"limit": "x"}) == {"limit": "x"}
        slow = await typed(service, "shop", "SlowReport", {"seconds": "0.5"})
        assert slow == {"seconds": 0.5}


def test_an_error_is_told_with_all_that_helps() -> None:
    told = describe(
        error(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "UPSTREAM_RATE_LIMITED",
            fields=(FieldViolation("a.b", "is wrong"),),
            metadata={"connector": "shop", "attempts": "3", "secret": "s"},
            retry_after=1.5,
        )
    )
    assert told.splitlines() == [
        "RESOURCE_EXHAUSTED UPSTREAM_RATE_LIMITED: a text",
        "  a.b: is wrong",
        "  connector shop, attempts 3",
        "  come back in 1.5 s",
    ]


@pytest.mark.parametrize("code", list(grpc.StatusCode)[1:])
def test_an_error_of_the_service_ends_with_64_and_its_number(code: grpc.StatusCode) -> None:
    async def work(_: Client) -> None:
        raise error(code, "INTERNAL_ERROR")

    with pytest.raises(CommandError) as ended:
        run_work(Server("127.0.0.1:1"), work)
    assert ended.value.code == 64 + code.value[0]


def test_only_silence_is_unreachable() -> None:
    async def lost(_: Client) -> None:
        raise Unavailable(ErrorFacts(code=grpc.StatusCode.UNAVAILABLE))

    async def late(_: Client) -> None:
        raise error(grpc.StatusCode.DEADLINE_EXCEEDED)

    with pytest.raises(CommandError, match=r"nothing answers at 127\.0\.0\.1:1; ") as ended:
        run_work(Server("127.0.0.1:1"), lost)
    assert ended.value.code == 6
    with pytest.raises(CommandError, match=r"^DEADLINE_EXCEEDED: a text$") as ended:
        run_work(Server("127.0.0.1:1"), late)
    assert ended.value.code == 68


@pytest.mark.usefixtures("at_nobody")
@pytest.mark.parametrize(
    "line",
    [
        ("call", "shop.ListProducts"),
        ("call", "shop.GetProduct", "-p", "id=p001"),
        ("fanout", "a=shop.ListProducts"),
        ("fanout", "a=shop.ListProducts", "--stream"),
        ("watch", "ticks.Ticks"),
        ("publish", "orders.Orders", "--data", "{}"),
        ("reload",),
        ("chaos", "shop"),
    ],
    ids=" ".join,
)
def test_every_verb_that_finds_nobody_ends_with_6_and_one_line(
    line: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    ended = invoke(capsys, *line)
    assert (ended.code, ended.out, ended.err.count("\n")) == (6, "", 1)
    assert "nothing answers at" in ended.err


def test_an_api_key_does_not_cross_a_network_in_plain_text(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k-123\n")
    with pytest.raises(CommandError, match="--tls-ca") as refused:
        Server("192.0.2.1:7070", api_key=key).config()
    assert refused.value.code == 2
    assert Server("127.0.0.1:7070", api_key=key).config().api_key == "k-123"
    ca = Authority(tmp_path).certificate
    config = Server("192.0.2.1:7070", ca=ca, api_key=key).config()
    assert config.tls is not None
    assert config.tls.roots == ca.read_bytes()


def test_the_wrong_port_under_tls_is_told_without_lines_of_grpc(
    dev: DevService, tmp_path: Path
) -> None:
    ca = str(Authority(tmp_path).certificate)
    ended = run("call", "shop.ListProducts", "--tls-ca", ca, environment=dev.environment)
    assert ended.code == 6
    assert ended.err.splitlines() == [
        f"interlace: nothing answers at {dev.grpc}; is it running, with a certificate of this CA?"
    ]
