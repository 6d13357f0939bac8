"""The pure half of the rest kind: calls to requests, answers to replies."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_rig import make_call, make_config

from interlaced.connectors.rest.recipe import Recipe, compile_operation
from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Argument, Effect, Payload, Reply
from interlaced.core.ports import Parameter, ParameterType
from interlaced.transport.http import HttpRequest, HttpResponse

JSON = "application/json"
ORIGIN = "https://api.example.com/v2"


class OfNobody:
    """What a transport has prepared, of no transport."""

    method = "GET"


PREPARED = OfNobody()
ARGUMENT = st.one_of(
    st.text(alphabet="a0._~-/\\%;é ", max_size=4),
    st.text(max_size=3),
    st.from_regex(r"[a-z0-9._~-]{1,8}", fullmatch=True),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.just(("a",)),
)


def recipe(operation: dict[str, Any], **upstream: Any) -> Recipe:
    config = make_config(ORIGIN, {"Op": operation}, **upstream)
    return compile_operation(config.operations["Op"], config.upstream)


def build(
    operation: dict[str, Any], payload: Payload | None = None, **arguments: Argument
) -> HttpRequest:
    return recipe(operation).build(make_call("Op", arguments, payload=payload), PREPARED)


def refuse(
    operation: dict[str, Any], payload: Payload | None = None, **arguments: Argument
) -> Failure:
    with pytest.raises(Failure) as caught:
        build(operation, payload, **arguments)
    assert caught.value.reached is Reached.NOT_SENT
    return caught.value


def fields(failure: Failure) -> list[str]:
    return [each.field for each in failure.fields]


def read(
    operation: dict[str, Any],
    body: bytes,
    *,
    status: int = 200,
    media_type: str = JSON,
    accept: tuple[str, ...] = (),
) -> Reply:
    response = HttpResponse(status, {"content-type": media_type} if media_type else {}, body)
    return recipe(operation).read(response, make_call("Op", accept=accept), lambda: 0.0)


def unreadable(operation: dict[str, Any], body: bytes, **rest: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        read(operation, body, **rest)
    return caught.value


class TestRequests:
    def test_every_method_with_its_effect(self) -> None:
        effects = {
            "get": Effect.SAFE, "head": Effect.SAFE, "options": Effect.SAFE,
            "put": Effect.IDEMPOTENT, "delete": Effect.IDEMPOTENT,
            "post": Effect.UNSAFE, "patch": Effect.UNSAFE,
        }  # fmt: skip
        for method, effect in effects.items():
            made = recipe({method: "/a"})
            assert (made.method, made.effect) == (method.upper(), effect)
        assert recipe({"post": "/a", "effect": "safe"}).effect is Effect.SAFE

    def test_path_query_and_headers_take_their_parameters(self) -> None:
        operation = {
            "get": "/p/{id}/x-{n}.json",
            "query": {"c": "$req.c", "fixed": "a b", "n": 7, "flag": True, "dollar": "$$5"},
            "headers": {"X-Own": "$req.h", "X-Fixed": "f"},
        }
        wire = build(operation, id="a/b", n=12, c="x&y=z", h="v")
        assert wire.target == (
            "/v2/p/a%2Fb/x-12.json?c=x%26y%3Dz&fixed=a%20b&n=7&flag=true&dollar=%245"
        )
        assert list(wire.headers) == [("X-Own", "v")]
        assert ("X-Fixed", "f") in recipe(operation).headers

    def test_what_is_missing_and_optional_is_left_out(self) -> None:
        operation = {"get": "/a", "query": {"x": "$req.x"}, "headers": {"H": "$req.h"}}
        wire = build(operation)
        assert (wire.target, list(wire.headers), wire.body) == ("/v2/a", [], None)

    def test_a_list_repeats_its_name(self) -> None:
        operation = {"get": "/a", "parameters": {"t": {"type": "list"}}, "query": {"t": "$req.t"}}
        assert build(operation, t=("a", "b c")).target == "/v2/a?t=a&t=b%20c"
        assert build(operation, t=()).target == "/v2/a"

    def test_scalars_are_written_as_upstreams_read_them(self) -> None:
        operation = {"get": "/a", "query": {"x": "$req.x"}}
        for value, text in ((True, "true"), (2**63, str(2**63)), (1.5, "1.5"), ("", "")):
            assert build(operation, x=value).target == f"/v2/a?x={text}"

    def test_parameters_are_listed_for_the_catalog(self) -> None:
        operation = {
            "get": "/{id}",
            "query": {"n": "$req.n", "q": "$req.q"},
            "parameters": {"n": {"type": "integer", "required": True, "description": "How many."}},
        }
        assert recipe(operation).parameters == (
            Parameter("id", ParameterType.STRING, is_required=True),
            Parameter("n", ParameterType.INTEGER, is_required=True, description="How many."),
            Parameter("q", ParameterType.STRING),
        )

    @pytest.mark.parametrize(
        ("kind", "good", "bad"),
        [
            ("string", ["", "a"], [1, 1.5, True, ("a",)]),
            ("integer", [0, -(2**63)], ["1", 1.5, True, ("a",)]),
            ("number", [0, 1.5], ["1", True, float("nan"), float("inf"), ("a",)]),
            ("boolean", [True, False], ["true", 1, 0, ("a",)]),
            ("list", [(), ("a",)], ["a", 1, True]),
        ],
    )
    def test_declared_types_are_kept(self, kind: str, good: list[Any], bad: list[Any]) -> None:
        operation = {"get": "/a", "parameters": {"x": {"type": kind}}, "query": {"x": "$req.x"}}
        for value in good:
            build(operation, x=value)
        for value in bad:
            failure = refuse(operation, x=value)
            assert failure.reason is Reason.INVALID_REQUEST
            assert fields(failure) == ["parameters[x]"]

    @given(
        st.dictionaries(st.sampled_from(("id", "x")), ARGUMENT, max_size=2),
        st.sampled_from((None, Payload("", b""), Payload(JSON, b"1"))),
        st.sampled_from(((), (JSON,), ("text/csv",))),
        st.sampled_from(("/a/{id}", "/{id}", "/a/{id}/b", "/a.{id}", "/a", "/")),
    )
    def test_the_short_way_leads_where_the_long_one_does(
        self,
        arguments: dict[str, Argument],
        payload: Payload | None,
        accept: tuple[str, ...],
        path: str,
    ) -> None:
        """An operation that could send a key goes the long way, even where it sends none."""
        made = []
        for operation in ({"get": path}, {"get": path, "idempotency_header": "K"}):
            call = make_call("Op", arguments, payload=payload, accept=accept)
            compiled = recipe(operation, auth={"api_key": {"query": "k", "value": "v"}})
            try:
                request = compiled.build(call, PREPARED)
                assert request.effort is call.effort
                made.append((request.target, list(request.headers), request.body))
            except Failure as failure:
                made.append((failure.reason, failure.reached, failure.fields))
        assert made[0] == made[1]

    def test_every_wrong_parameter_is_named_at_once(self) -> None:
        operation = {
            "get": "/{id}",
            "parameters": {"n": {"type": "integer"}},
            "query": {"n": "$req.n"},
        }
        failure = refuse(operation, n="x", nosuch="y", **{"no\nsuch": "z"})
        assert fields(failure) == [
            "parameters[n]",
            "parameters[nosuch]",
            "parameters",
            "parameters[id]",
        ]

    @pytest.mark.parametrize(
        "value", ["a\r", "a\nb", "a\r\nX: y", "\x00", "\x7f", "\u010a", "\ud800", " a", "a" * 9000]
    )
    def test_no_line_end_gets_into_a_header(self, value: str) -> None:
        """T8."""
        operation = {
            "get": "/a",
            "headers": {"X": "$req.x"},
            "idempotency_header": "Idempotency-Key",
        }
        assert fields(refuse(operation, x=value)) == ["parameters[x]"]
        with pytest.raises(Failure) as caught:
            recipe(operation).build(make_call("Op", key=value), PREPARED)
        assert fields(caught.value) == ["idempotency_key"]

    @pytest.mark.parametrize("value", ["a\r\nb", "\x00", "\x7f", "\x1b[0m", "\ud800"])
    def test_no_control_character_gets_into_path_or_query(self, value: str) -> None:
        """T8."""
        assert refuse({"get": "/{x}"}, x=value).reason is Reason.INVALID_REQUEST
        assert (
            refuse({"get": "/a", "query": {"q": "$req.x"}}, x=value).reason
            is Reason.INVALID_REQUEST
        )

    @pytest.mark.parametrize(
        "value", ["..", ".", "../a", "%2e%2e", "..%2fa", "..;/a", "", "a\\..\\b"]
    )
    def test_no_path_is_traversed(self, value: str) -> None:
        """T10."""
        assert fields(refuse({"get": "/a/{x}/b"}, x=value)) == ["parameters[x]"]

    @pytest.mark.parametrize(
        ("path", "first", "second"),
        [("/{a}{b}", "a/%2", "e"), ("/{a}{b}", "a/%", "2e"), ("/{a}2e{b}", "a/%", "/x")],
    )
    def test_no_path_is_traversed_by_two_values_in_one_segment(
        self, path: str, first: str, second: str
    ) -> None:
        """T10: each of them is harmless alone, and a server that decodes twice finds dots."""
        assert fields(refuse({"get": path}, a=first, b=second)) == ["parameters"]
        assert build({"get": path}, a="x", b="y").target.startswith("/v2/x")

    @given(st.text(), st.text())
    def test_the_target_always_has_the_declared_prefix(self, first: str, second: str) -> None:
        """T10: whatever the values, it is this path with these two segments."""
        try:
            target = build(
                {"get": "/things/{a}/of/{b}", "query": {"q": "$req.a"}}, a=first, b=second
            ).target
        except Failure:
            return
        url = urlsplit("https://api.example.com" + target)
        segments = url.path.split("/")
        assert url.netloc == "api.example.com"
        assert segments[:3] == ["", "v2", "things"]
        assert [unquote(each) for each in segments[3:]] == [first, "of", second]
        assert parse_qsl(url.query, keep_blank_values=True) == [("q", first)]
        assert not url.fragment

    def test_credentials(self) -> None:
        basic = {"basic": {"username": "us\xe9r", "password": "p:w"}}
        for auth, expected in (
            ({"bearer": "t0k"}, ("Authorization", "Bearer t0k")),
            (
                basic,
                ("Authorization", "Basic " + base64.b64encode("us\xe9r:p:w".encode()).decode()),
            ),
            ({"api_key": {"header": "X-Key", "value": "k"}}, ("X-Key", "k")),
        ):
            assert expected in recipe({"get": "/a"}, auth=auth).headers
        key = {"api_key": {"query": "key", "value": "k&k"}}
        for operation, target in (
            ({"get": "/a"}, "/v2/a?key=k%26k"),
            ({"get": "/a", "query": {"x": "y"}}, "/v2/a?x=y&key=k%26k"),
        ):
            assert recipe(operation, auth=key).build(make_call("Op"), PREPARED).target == target

    def test_nothing_of_it_shows_a_secret(self) -> None:
        """P49."""
        made = recipe(
            {"get": "/a"},
            auth={"api_key": {"query": "key", "value": "canary"}},
            headers={"X": "canary"},
        )
        assert "canary" not in repr(made) + repr(made.build(make_call("Op"), PREPARED))

    def test_the_idempotency_key_travels_in_its_header(self) -> None:
        made = recipe({"post": "/a", "idempotency_header": "Idempotency-Key"})
        assert ("Idempotency-Key", "k-1") in made.build(
            make_call("Op", key="k-1"), PREPARED
        ).headers
        assert not made.build(make_call("Op"), PREPARED).headers

    def test_metadata_of_the_caller_is_not_forwarded(self) -> None:
        call = make_call("Op")
        call.metadata = {"authorization": "canary", "traceparent": "00-1"}
        assert not recipe({"get": "/a"}).build(call, PREPARED).headers


class TestBodies:
    def test_the_callers_bytes_pass_untouched(self) -> None:
        wire = build({"post": "/a", "body": "$payload"}, Payload(JSON, b'{"a":  1.10}'))
        assert (wire.body, list(wire.headers)) == (b'{"a":  1.10}', [("Content-Type", JSON)])

    def test_msgpack_becomes_what_the_upstream_consumes(self) -> None:
        packed = Payload("application/msgpack", msgpack.packb({"a": 1}))
        wire = build({"post": "/a", "body": "$payload"}, packed)
        assert (wire.body, list(wire.headers)) == (b'{"a":1}', [("Content-Type", JSON)])

    def test_a_raw_body_has_any_type(self) -> None:
        operation = {"put": "/a", "body": "$payload", "consumes": "*/*"}
        wire = build(operation, Payload("image/png", b"\x89PNG"))
        assert (wire.body, list(wire.headers)) == (b"\x89PNG", [("Content-Type", "image/png")])
        for media_type in ("a/b\r\nX: y", "a/b; x=\xe9", "*/*", "image/*", "junk"):
            assert fields(refuse(operation, Payload(media_type, b""))) == ["payload.media_type"]
        assert ("Content-Type", JSON) in build(operation, Payload("", b"{}")).headers

    def test_a_payload_without_a_type_has_the_one_that_is_consumed(self) -> None:
        """A pattern is none: nobody would know what the bytes are."""
        operation = {"post": "/a", "body": "$payload", "consumes": "image/png"}
        assert ("Content-Type", "image/png") in build(operation, Payload("", b"x")).headers
        wrong = refuse({**operation, "consumes": "image/*"}, Payload("", b"x"))
        assert fields(wrong) == ["payload.media_type"]
        allowed = build({**operation, "consumes": "image/*"}, Payload("image/gif", b"x"))
        assert ("Content-Type", "image/gif") in allowed.headers

    @pytest.mark.parametrize("body", ["$payload", {"x": "$payload.a"}])
    def test_payloads_that_cannot_be_sent(self, body: Any) -> None:
        operation = {"post": "/a", "body": body}
        assert fields(refuse(operation)) == ["payload"]
        wrong = refuse(operation, Payload("text/csv", b"a"))
        assert wrong.reason is Reason.UNACCEPTABLE_MEDIA_TYPE
        assert fields(refuse(operation, Payload("application/msgpack", b"\xc1"))) == [
            "payload.data"
        ]

    def test_a_payload_that_nobody_wants_is_refused(self) -> None:
        for operation in (
            {"get": "/a"},
            {"post": "/a", "form": {"a": "b"}},
            {"post": "/a", "body": {"a": 1}},
        ):
            assert fields(refuse(operation, Payload(JSON, b"{}"))) == ["payload"]
            build(operation, Payload("", b""))

    def test_a_document_is_made_of_literals_parameters_and_parts_of_the_payload(self) -> None:
        operation = {
            "post": "/a",
            "body": {
                "id": "$req.id", "n": "$req.n", "gone": "$req.gone", "dollar": "$$x", "none": None,
                "deep": {"list": [1, "$req.flag", "$req.gone", "$payload.items[0]"]},
                "all": "$payload", "lost": "$payload.nosuch", "tags": "$req.tags",
            },
            "parameters": {"tags": {"type": "list"}},
        }  # fmt: skip
        wire = build(
            operation,
            Payload(JSON, b'{"items":[12345678901234567890]}'),
            id="7",
            n=7,
            flag=True,
            tags=("a",),
        )
        assert wire.body == (
            b'{"id":"7","n":7,"dollar":"$x","none":null,'
            b'"deep":{"list":[1,true,12345678901234567890]},'
            b'"all":{"items":[12345678901234567890]},"tags":["a"]}'
        )

    def test_text_goes_into_a_document_whatever_it_is(self) -> None:
        """T11: a template is a tree, never a text."""
        operation = {"post": "/a", "body": {"q": "$req.q"}}
        assert build(operation, q='"},{"$req.x": "\n').body == b'{"q":"\\"},{\\"$req.x\\": \\"\\n"}'
        assert fields(refuse(operation, q="\ud800")) == ["parameters"]

    def test_a_form(self) -> None:
        operation = {"post": "/a", "form": {"q": "$req.q", "fixed": "1", "gone": "$req.gone"}}
        wire = build(operation, q="a b&c=\r\n\xe9")
        assert wire.body == b"q=a%20b%26c%3D%0D%0A%C3%A9&fixed=1"
        assert list(wire.headers) == [("Content-Type", "application/x-www-form-urlencoded")]
        assert refuse(operation, q="\ud800").reason is Reason.INVALID_REQUEST


class TestAnswers:
    def test_bytes_pass_untouched(self) -> None:
        body = b'{ "a" : 1.10 }'
        for accept in ((), (JSON,), ("*/*",), ("text/csv", "application/*")):
            reply = read(
                {"get": "/a"}, body, accept=accept, media_type="application/json; charset=utf-8"
            )
            assert reply == Reply(Payload("application/json; charset=utf-8", body), "200")

    def test_json_becomes_msgpack_for_who_accepts_only_that(self) -> None:
        """P12."""
        reply = read(
            {"get": "/a"}, b'{"id": 18446744073709551615}', accept=("application/msgpack",)
        )
        assert reply.payload.media_type == "application/msgpack"
        assert msgpack.unpackb(reply.payload.data) == {"id": 2**64 - 1}
        failure = unreadable(
            {"get": "/a"}, b'{"id": 18446744073709551616}', accept=("application/msgpack",)
        )
        assert failure.reason is Reason.UNACCEPTABLE_MEDIA_TYPE
        assert failure.reached is Reached.REPLIED

    def test_a_type_that_cannot_be_had_is_refused_before_anything_is_sent(self) -> None:
        for operation in ({"get": "/a"}, {"get": "/a", "produces": "application/pdf"}):
            with pytest.raises(Failure) as caught:
                recipe(operation).build(make_call("Op", accept=("text/csv",)), PREPARED)
            assert caught.value.reason is Reason.UNACCEPTABLE_MEDIA_TYPE
            assert fields(caught.value) == ["accept"]
        for produces, accept in (("image/*", "image/png"), ("application/*", JSON)):
            recipe({"get": "/a", "produces": produces}).build(
                make_call("Op", accept=(accept,)), PREPARED
            )
        any_type = {"get": "/a", "produces": "*/*"}
        recipe(any_type).build(make_call("Op", accept=("text/csv",)), PREPARED)
        failure = unreadable(any_type, b"x", media_type="text/html", accept=("text/csv",))
        assert failure.reason is Reason.UNACCEPTABLE_MEDIA_TYPE

    def test_extraction(self) -> None:
        operation = {"get": "/a", "reply": "$.data.items[0]"}
        body = b'{"data": {"items": [{"id": 12345678901234567890, "p": 1.5}]}}'
        assert read(operation, body).payload == Payload(
            JSON, b'{"id":12345678901234567890,"p":1.5}'
        )
        tree = {"get": "/a", "reply": {"all": "$.data", "first": {"id": "$.data.items[0].id"}}}
        assert read(tree, b'{"data":{"items":[{"id":1}]}}').payload.data == (
            b'{"all":{"items":[{"id":1}]},"first":{"id":1}}'
        )
        packed = read(operation, body, accept=("application/msgpack",)).payload
        assert msgpack.unpackb(packed.data)["p"] == 1.5

    def test_what_an_answer_lacks_is_drift(self) -> None:
        failure = unreadable({"get": "/a", "reply": "$.data"}, b'{"Data": "canary"}')
        assert failure.reason is Reason.CONTRACT_DRIFT
        assert failure.context["place"] == "$.data"
        assert "canary" not in repr(failure.context)

    def test_a_number_that_would_be_rounded_is_an_error(self) -> None:
        """P12: never a rounding."""
        failure = unreadable({"get": "/a", "reply": "$.a"}, b'{"a": 0.12345678901234567890}')
        assert failure.reason is Reason.UPSTREAM_MALFORMED

    @pytest.mark.parametrize(
        ("media_type", "body", "place"),
        [
            ("text/html", b"<html>login</html>", "content-type"),
            ("", b"{}", "content-type"),
            ("application/jsonp", b"f({})", "content-type"),
            ("application/json; x=\udcff", b"{}", "content-type"),
            ("application/json, application/json", b"{}", "content-type"),
            (JSON, "{}".encode("utf-16"), "body"),
            (JSON, "{}".encode("utf-16-le"), "body"),
            (JSON, "{}".encode("utf-16-be"), "body"),
            ("application/json; charset=utf-16", "{}".encode("utf-16"), "charset"),
            (JSON, b"<html>login</html>", "body"),
            (JSON, b"", "body"),
            (JSON, b"\xef\xbb\xbf{}", "body"),
            ("application/json; charset=iso-8859-1", b"{}", "charset"),
        ],
    )
    def test_what_is_not_what_was_promised_is_malformed(
        self, media_type: str, body: bytes, place: str
    ) -> None:
        """F12: a login page in the place of JSON, with status 200."""
        failure = unreadable({"get": "/a"}, body, media_type=media_type)
        assert failure.reason is Reason.UPSTREAM_MALFORMED
        assert failure.reached is Reached.MAYBE
        assert failure.context == {"upstream_status": "200", "place": place}
        assert "login" not in str(failure)

    @pytest.mark.parametrize(
        "body", [b"{1}", b'{"a":1,"a":2}', b"[NaN]", b'{"a":"\xff"}', b"[1e400]"]
    )
    def test_malformed_json_is_caught_wherever_it_is_read(self, body: bytes) -> None:
        """F13."""
        for operation in ({"get": "/a", "check": True}, {"get": "/a", "reply": "$.a"}):
            failure = unreadable(operation, body)
            assert failure.reason is Reason.UPSTREAM_MALFORMED
            assert failure.context["place"]
        assert unreadable({"get": "/a"}, body, accept=("application/msgpack",)).kind == "protocol"

    def test_checked_answers_pass_untouched_too(self) -> None:
        assert read({"get": "/a", "check": True}, b'{ "a": 1 }').payload.data == b'{ "a": 1 }'

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "head"])
    def test_an_empty_answer_is_one_where_nothing_need_be_said(self, method: str) -> None:
        for status, media_type in ((200, ""), (201, JSON), (204, "")):
            reply = read({method: "/a"}, b"", status=status, media_type=media_type)
            assert reply == Reply(Payload("", b""), str(status))
        assert read({"get": "/a"}, b"", status=204, media_type="").payload.data == b""

    def test_any_type_passes_where_that_is_declared(self) -> None:
        operation = {"get": "/a", "produces": "*/*"}
        assert read(operation, b"", media_type="").payload == Payload("", b"")
        assert read(operation, b"<html>", media_type="text/html").payload.data == b"<html>"
        failure = unreadable(operation, b"x", media_type="text/x; a=\udcff")
        assert (failure.reason, failure.context["place"]) == (
            Reason.UPSTREAM_MALFORMED,
            "content-type",
        )

    @pytest.mark.parametrize("produces", [JSON, "*/*"])
    def test_a_number_at_the_edge_of_what_can_be_read_is_no_bug_of_ours(
        self, produces: str
    ) -> None:
        """F13: an exponent of twenty digits."""
        operation = {"get": "/a", "produces": produces, "check": True}
        body = b'{"a": 0e99999999999999999999}'
        assert read(operation, body).payload.data == body
        assert unreadable(operation, b"[1e99999999999999999999]").reason is (
            Reason.UPSTREAM_MALFORMED
        )
