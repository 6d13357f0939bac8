"""Call → request, answer → reply: pure, and compiled once at load into closures.

Nothing here waits, connects or reads a clock. What is wrong with an operation's templates is a
ValueError at load; what is wrong with a call is INVALID_REQUEST before anything is sent.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import urlsplit

from interlaced.codecs import json
from interlaced.codecs.codec import CodecError, UnfitError, Value
from interlaced.codecs.media import (
    JSON,
    accepts,
    bare,
    charset,
    codec_for,
    is_range,
    is_type,
    preferred,
    transcode,
)
from interlaced.connectors.parameters import Arguments, Parameters, as_text, field_of, refuse
from interlaced.connectors.rest.config import METHODS, Auth, OperationConfig, Upstream
from interlaced.connectors.rest.errors import Judge, compile_rules
from interlaced.connectors.templates import (
    compile_pairs,
    compile_pick,
    compile_value,
    literal_of,
    reference_of,
)
from interlaced.core.failure import Failure, FieldViolation, Reached, Reason
from interlaced.core.model import Call, Effect, Payload, Reply
from interlaced.core.path import MISSING
from interlaced.core.ports import Parameter, ParameterType
from interlaced.transport.headers import check_header, is_value
from interlaced.transport.http import HttpRequest, HttpResponse, Prepared
from interlaced.transport.target import (
    encode_pairs,
    encode_segment,
    is_literal_path,
    is_plain,
    is_text,
)

__all__ = ["Recipe", "compile_operation"]

_ANY = "*/*"
_FORM = "application/x-www-form-urlencoded"
_PLACE = re.compile(r"\{([A-Za-z][A-Za-z0-9_-]{0,62})\}")
_LONGEST_HEADER = 8190
_REMEMBERED = 64
_UTF8 = ("", "utf-8", "utf8", "us-ascii", "ascii")

_Headers: TypeAlias = list[tuple[str, str]]
_Build: TypeAlias = Callable[[Call, Prepared], HttpRequest]
_Read: TypeAlias = Callable[[HttpResponse, Call, Callable[[], float]], Reply]
"""Takes an answer, its call, and the clock of the wall, which is read where a date is."""
_Body: TypeAlias = Callable[[Call, _Headers], bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A compiled operation.

    `build(call, prepared)` raises INVALID_REQUEST or UNACCEPTABLE_MEDIA_TYPE, naming the field.
    `read(response, call, wall)` returns the reply or raises what the answer means; `wall` is the
    time of day in seconds since 1970. `headers` are those of every request; they hold secrets.
    """

    method: str
    headers: Sequence[tuple[str, str]] = field(repr=False)
    parameters: tuple[Parameter, ...]
    effect: Effect
    build: Callable[[Call, Prepared], HttpRequest]
    read: _Read


def compile_operation(operation: OperationConfig, upstream: Upstream) -> Recipe:
    """Compiles one operation; ValueError says what cannot work."""
    known = Parameters(
        {
            name: Parameter(name, each.type, each.required, each.description)
            for name, each in operation.parameters.items()
        }
    )
    body = _compile_body(operation, known)
    return Recipe(
        method=operation.method.upper(),
        headers=_fixed_headers(operation, upstream),
        build=_compile_build(operation, upstream, known, body),
        read=_compile_read(operation),
        parameters=known.listed(),
        effect=operation.effect or METHODS[operation.method],
    )


# --- the request ---------------------------------------------------------------------------------


def _compile_build(
    operation: OperationConfig, upstream: Upstream, known: Parameters, body: _Body
) -> _Build:
    path = _compile_path(urlsplit(upstream.rest).path, operation.path, known)
    query = _compile_query(operation, upstream, known)
    headers = _compile_headers(operation, known)
    known.close()
    bind, produces = known.bind, operation.produces
    is_open = is_range(produces)

    def build(call: Call, prepared: Prepared) -> HttpRequest:
        arguments = bind(call)
        if call.accept and not is_open and preferred(call.accept, produces) is None:
            raise _unacceptable(Reached.NOT_SENT)
        own: _Headers = headers(call, arguments)
        data = body(call, own)
        return HttpRequest(prepared, path(arguments) + query(arguments), own, data, call.effort)

    has_headers = any(reference_of(text) is not None for text in operation.headers.values())
    if operation.query or has_headers or operation.idempotency_header or body is not _no_body:
        return build
    pieces = _PLACE.split(urlsplit(upstream.rest).path + operation.path)
    if len(pieces) == 1 and not operation.parameters:
        return _compile_fixed(pieces[0] + query({}), build)
    is_whole_segment = any(_PLACE.fullmatch(segment) for segment in operation.path.split("/"))
    declared = operation.parameters.values()
    is_text_alone = all(each.type is ParameterType.STRING for each in declared)
    if len(pieces) != 3 or not is_whole_segment or not is_text_alone:
        return build
    return _compile_short(pieces[0], pieces[1], pieces[2] + query({}), build)


def _compile_fixed(target: str, build: _Build) -> _Build:
    """Compiles the short way of calls that are all the same; the rest is `build`'s."""

    def build_fixed(call: Call, prepared: Prepared) -> HttpRequest:
        if call.parameters or call.payload is not None or call.accept:
            return build(call, prepared)
        return HttpRequest(prepared, target, (), None, call.effort)

    return build_fixed


def _compile_short(before: str, name: str, after: str, build: _Build) -> _Build:
    """Compiles the short way of what most calls are: nothing but a path with one text in it. It
    takes what needs no encoding and no further look, and leaves the rest to `build`."""

    def build_one(call: Call, prepared: Prepared) -> HttpRequest:
        arguments = call.parameters
        value = arguments.get(name)
        if (
            type(value) is not str
            or len(arguments) != 1
            or is_plain(value) is None
            or call.payload is not None
            or call.accept
        ):
            return build(call, prepared)
        return HttpRequest(prepared, f"{before}{value}{after}", (), None, call.effort)

    return build_one


def _compile_path(prefix: str, path: str, known: Parameters) -> Callable[[Arguments], str]:
    """The prefix and the literal parts go out as they stand, each value as one segment or less."""
    if not path.startswith("/") or not is_literal_path(_PLACE.sub("x", path)):
        raise ValueError("a path begins with / and is written encoded, without query or dots")
    pieces = _PLACE.split(prefix + path)
    literals, names = pieces[0::2], pieces[1::2]
    for segment in path.split("/"):
        if _PLACE.search(segment) and set(_PLACE.sub("", segment)) == {"."}:
            raise ValueError("a parameter cannot stand beside nothing but dots")
    for name in names:
        known.use(name, is_required=True, can_be_list=False)
    if not names:
        return lambda _: literals[0]
    is_mixed = any(
        _PLACE.search(segment) and not _PLACE.fullmatch(segment) for segment in path.split("/")
    )

    def build(arguments: Arguments) -> str:
        parts = [literals[0]]
        for name, literal in zip(names, literals[1:], strict=True):
            try:
                parts.append(encode_segment(as_text(arguments[name])))
            except ValueError as error:
                refuse(FieldViolation(field_of(name), str(error)))
            parts.append(literal)
        target = "".join(parts)
        # Each value is harmless alone; two in one segment may not be.
        if is_mixed and not is_literal_path(target):
            refuse(FieldViolation("parameters", "must not have dot segments together"))
        return target

    return build


def _compile_query(
    operation: OperationConfig, upstream: Upstream, known: Parameters
) -> Callable[[Arguments], str]:
    pairs = compile_pairs(operation.query, known)
    auth = upstream.auth.api_key if upstream.auth else None
    key = encode_pairs([(auth.query, auth.value.reveal())]) if auth and auth.query else ""

    def build(arguments: Arguments) -> str:
        values = pairs(arguments)
        for name, value in values:
            if not is_text(value):
                refuse(FieldViolation(f"query[{name}]", "must not have control characters"))
        query = "&".join(part for part in (encode_pairs(values), key) if part)
        return f"?{query}" if query else ""

    if not operation.query:
        fixed = f"?{key}" if key else ""
        return lambda _: fixed
    return build


def _compile_headers(
    operation: OperationConfig, known: Parameters
) -> Callable[[Call, Arguments], _Headers]:
    plan = []
    for header, text in operation.headers.items():
        name = reference_of(text)
        if name is not None:
            plan.append((header, known.use(name, can_be_list=False)))
    key_header = operation.idempotency_header

    def build(call: Call, arguments: Arguments) -> _Headers:
        headers: _Headers = []
        for header, name in plan:
            value = arguments.get(name)
            if value is not None:
                headers.append((header, _header_value(as_text(value), field_of(name))))
        if key_header and call.idempotency_key:
            headers.append((key_header, _header_value(call.idempotency_key, "idempotency_key")))
        return headers

    return build


def _header_value(text: str, place: str) -> str:
    """Lets a text into a header only if it stays one line of the same letters there."""
    if len(text) > _LONGEST_HEADER or not is_value(text):
        refuse(FieldViolation(place, "must be one line of printable ASCII text"))
    return text


def _fixed_headers(operation: OperationConfig, upstream: Upstream) -> list[tuple[str, str]]:
    """Collects what every request carries; ValueError for a header that is named twice."""
    headers = [(name, value.reveal()) for name, value in upstream.headers.items()]
    if upstream.auth is not None:
        headers += _auth_headers(upstream.auth)
    fixed = {k: v for k, v in operation.headers.items() if reference_of(v) is None}
    headers += [(name, literal_of(value)) for name, value in fixed.items()]
    named = [name.lower() for name, _ in headers]
    named += [name.lower() for name in operation.headers.keys() - fixed.keys()]
    named += [operation.idempotency_header.lower()] if operation.idempotency_header else []
    for name in named:
        if named.count(name) > 1:
            raise ValueError(f"the header {name} is named twice")
        if name == "content-type":
            raise ValueError("the header content-type comes from the body: see `consumes`")
    for name, value in headers:
        check_header(name, value)
    if "accept" not in named:
        headers.append(("Accept", operation.produces))
    check_header("accept", operation.produces)
    return headers


def _auth_headers(auth: Auth) -> Iterable[tuple[str, str]]:
    if auth.bearer is not None:
        yield "Authorization", f"Bearer {auth.bearer.reveal()}"
    if auth.basic is not None:
        user = auth.basic.username.reveal()
        if ":" in user:
            raise ValueError("a username of Basic authentication has no colon")
        pair = f"{user}:{auth.basic.password.reveal()}".encode()
        yield "Authorization", f"Basic {base64.b64encode(pair).decode('ascii')}"
    if auth.api_key is not None and auth.api_key.header is not None:
        yield auth.api_key.header, auth.api_key.value.reveal()


# --- the body ------------------------------------------------------------------------------------


def _compile_body(operation: OperationConfig, known: Parameters) -> _Body:
    if operation.form:
        return _compile_form(operation, known)
    if operation.body is None:
        return _no_body
    if operation.body == "$payload":
        return _compile_payload(operation.consumes)
    return _compile_document(operation.body, known)


def _no_body(call: Call, _: _Headers) -> None:
    if call.payload is not None and call.payload.data:
        refuse(FieldViolation("payload", "this operation takes no payload"))


def _compile_form(operation: OperationConfig, known: Parameters) -> _Body:
    pairs = compile_pairs(operation.form, known)

    def build(call: Call, headers: _Headers) -> bytes:
        _no_body(call, headers)
        headers.append(("Content-Type", _FORM))
        try:
            return encode_pairs(pairs(call.parameters)).encode("ascii")
        except UnicodeEncodeError:
            refuse(FieldViolation("parameters", "must be whole Unicode text"))

    return build


def _compile_payload(consumes: str) -> _Body:
    """The caller's own bytes, as they are where their type is what the upstream consumes."""
    check_header("content-type", consumes)
    usual = JSON if bare(consumes) == _ANY else "" if is_range(consumes) else consumes

    def build(call: Call, headers: _Headers) -> bytes:
        payload = call.payload
        if payload is None:
            refuse(FieldViolation("payload", "is missing"))
        media_type = payload.media_type or usual
        if not is_type(media_type):
            refuse(FieldViolation("payload.media_type", "must be a TYPE/SUBTYPE"))
        target = preferred((consumes,), media_type)
        if target is None:
            raise _unacceptable(Reached.NOT_SENT, "payload.media_type")
        headers.append(("Content-Type", _header_value(target, "payload.media_type")))
        if target == media_type:
            return payload.data
        try:
            return transcode(payload.data, media_type, target)
        except CodecError as error:
            refuse(FieldViolation("payload.data", _describe(error)))

    return build


def _compile_document(template: Value, known: Parameters) -> _Body:
    """A JSON document made of literals, parameters and parts of the payload."""
    uses: list[str] = []
    make = compile_value(template, known, uses)

    def build(call: Call, headers: _Headers) -> bytes:
        value: Value = MISSING
        if uses:
            value = _payload_value(call)
        else:
            _no_body(call, headers)
        headers.append(("Content-Type", JSON))
        try:
            return json.encode(make(call.parameters, value))
        except CodecError as error:
            refuse(FieldViolation("parameters", _describe(error)))

    return build


def _payload_value(call: Call) -> Value:
    payload = call.payload
    if payload is None:
        refuse(FieldViolation("payload", "is missing"))
    codec = codec_for(payload.media_type or JSON)
    if codec is None:
        raise _unacceptable(Reached.NOT_SENT, "payload.media_type")
    try:
        return codec.decode(payload.data)
    except CodecError as error:
        refuse(FieldViolation("payload.data", _describe(error)))


def _describe(error: CodecError) -> str:
    return f"{error} ({error.place})" if error.place else str(error)


# --- the answer ----------------------------------------------------------------------------------


def _compile_read(operation: OperationConfig) -> _Read:
    judge: Judge = compile_rules(operation.errors)
    fine = frozenset(range(200, 300)).difference(operation.errors)
    pick = _compile_reply(operation)
    check_type = _compile_check(operation.produces)
    is_whole = pick is None and not operation.check
    may_be_empty = operation.method not in ("get", "options") and pick is None

    def read(response: HttpResponse, call: Call, wall: Callable[[], float]) -> Reply:
        status, body = response.status, response.body
        if status not in fine:
            failure = judge(response, wall())
            if failure is not None:
                raise failure
        if not body and (may_be_empty or status in (204, 205)):
            return Reply(Payload("", b""), str(status))
        source = response.headers.get("content-type", "")
        check_type(response, source)
        target = preferred(call.accept, source) if call.accept else source
        if target is None:
            raise _unacceptable(Reached.REPLIED)
        if is_whole and target == source:
            return Reply(Payload(source, body), "200" if status == 200 else str(status))
        return Reply(Payload(target, _rewrite(response, source, target, pick)), str(status))

    return read


def _compile_reply(operation: OperationConfig) -> Callable[[Value], Value] | None:
    """Compiles what of an answer the caller gets, or returns None if it is the whole."""
    if operation.reply == "$":
        return None
    if codec_for(operation.produces) is None:
        raise ValueError("`reply` needs an answer that can be read: see `produces`")
    return compile_pick(operation.reply)


def _compile_check(produces: str) -> Callable[[HttpResponse, str], None]:
    """Compiles the check that refuses an answer of another type than the one declared: a login
    page, an empty body. What it makes of a type is remembered; upstreams send few."""

    @lru_cache(_REMEMBERED)
    def judge_type(source: str) -> tuple[str, bool]:
        """Returns what is wrong with a type, and whether its body must look like JSON."""
        if not is_value(source):
            return "content-type", False  # it could not be handed on as text
        if bare(produces) == _ANY:
            return "", False
        if not accepts((produces,), source):
            return "content-type", False
        is_json = codec_for(source) is json
        return "charset" if is_json and charset(source) not in _UTF8 else "", is_json

    takes_anything = bare(produces) == _ANY

    def check(response: HttpResponse, source: str) -> None:
        problem, is_json = judge_type(source)
        if problem:
            raise _malformed(response, problem)
        if is_json:
            if not json.looks_like_json(response.body):
                raise _malformed(response, "body")
        elif not response.body and not takes_anything:
            raise _malformed(response, "body")

    return check


def _rewrite(
    response: HttpResponse, source: str, target: str, pick: Callable[[Value], Value] | None
) -> bytes:
    """Reads the answer, and writes what of it is asked for in the type that is asked for."""
    reader, writer = codec_for(source), codec_for(target)
    if reader is None or writer is None:
        return response.body
    try:
        if pick is None and reader is not writer:
            return transcode(response.body, source, target)
        value = reader.decode(response.body)
    except UnfitError as error:
        raise _unacceptable(Reached.REPLIED) from error
    except CodecError as error:
        raise _malformed(response, _describe(error)) from error
    if pick is None:
        return response.body
    try:
        return writer.encode(pick(value))
    except CodecError as error:
        # It cannot be had in that type without loss, which is no fault of the upstream's.
        raise _unacceptable(Reached.REPLIED) from error


def _malformed(response: HttpResponse, place: str) -> Failure:
    return Failure(
        Reason.UPSTREAM_MALFORMED,
        "The upstream's answer is not what the operation declares.",
        reached=Reached.MAYBE,
        upstream_status=str(response.status),
        place=place,
    )


def _unacceptable(reached: Reached, place: str = "accept") -> Failure:
    return Failure(
        Reason.UNACCEPTABLE_MEDIA_TYPE,
        "The body cannot be had in an accepted media type.",
        reached=reached,
        fields=(FieldViolation(place, "has no media type that can be had here"),),
    )
