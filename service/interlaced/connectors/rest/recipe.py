"""Call → request, answer → reply: pure, and compiled once at load into closures.

Nothing here waits, connects or reads a clock. What is wrong with an operation's templates is a
ValueError at load; what is wrong with a call is INVALID_REQUEST before anything is sent.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias
from urllib.parse import urlsplit

from interlaced.codecs import json
from interlaced.codecs.codec import CodecError, Value
from interlaced.codecs.media import (
    JSON,
    accepts,
    bare,
    charset,
    codec_for,
    preferred,
    transcode,
)
from interlaced.connectors.rest.config import METHODS, Auth, OperationConfig, Upstream
from interlaced.connectors.rest.errors import Judge, compile_rules
from interlaced.core.failure import Failure, FieldViolation, Reached, Reason
from interlaced.core.model import Argument, Call, Effect, Payload, Reply
from interlaced.core.path import MISSING, compile_path
from interlaced.core.ports import Parameter, ParameterType
from interlaced.transport.headers import check_header, is_value
from interlaced.transport.http import HttpResponse
from interlaced.transport.target import encode_pairs, encode_segment, is_literal_path, is_text

__all__ = ["Recipe", "Wire", "compile_operation"]

ANY = "*/*"
_FORM = "application/x-www-form-urlencoded"
_PLACE = re.compile(r"\{([A-Za-z][A-Za-z0-9_-]{0,62})\}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_LONGEST_HEADER = 8190
_UTF8 = ("", "utf-8", "utf8", "us-ascii", "ascii")

_Arguments: TypeAlias = Mapping[str, Argument]
_Make: TypeAlias = Callable[[_Arguments, Value], Value]
_Headers: TypeAlias = list[tuple[str, str]]
_Body: TypeAlias = Callable[[Call, _Headers], bytes | None]


@dataclass(frozen=True, slots=True, repr=False)
class Wire:
    """What a call becomes: the encoded target, the headers of this call alone, and the body. It
    has no repr, since a target may hold a key."""

    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A compiled operation.

    `build(call)` raises INVALID_REQUEST or UNACCEPTABLE_MEDIA_TYPE, naming the field.
    `read(response, call, wall)` returns the reply or raises what the answer means; `wall` is the
    time of day in seconds since 1970. `headers` are those of every request; they hold secrets.
    """

    method: str
    headers: Sequence[tuple[str, str]] = field(repr=False)
    parameters: tuple[Parameter, ...]
    effect: Effect
    build: Callable[[Call], Wire]
    read: Callable[[HttpResponse, Call, float], Reply]


def compile_operation(operation: OperationConfig, upstream: Upstream) -> Recipe:
    """Compiles one operation; ValueError says what cannot work."""
    known = _Parameters(operation)
    body = _compile_body(operation, known)
    return Recipe(
        method=operation.method.upper(),
        headers=_fixed_headers(operation, upstream),
        build=_compile_build(operation, upstream, known, body),
        read=_compile_read(operation),
        parameters=known.listed(),
        effect=operation.effect or METHODS[operation.method],
    )


# --- parameters ----------------------------------------------------------------------------------


_TYPES: Mapping[ParameterType, tuple[tuple[type, ...], str]] = {
    ParameterType.STRING: ((str,), "must be a text"),
    ParameterType.INTEGER: ((int,), "must be an integer"),
    ParameterType.NUMBER: ((int, float), "must be a finite number"),
    ParameterType.BOOLEAN: ((bool,), "must be true or false"),
    ParameterType.LIST: ((tuple,), "must be a list of texts"),
}


class _Parameters:
    """The parameters of an operation: those declared, and those that its templates mention."""

    def __init__(self, operation: OperationConfig) -> None:
        self._declared = operation.parameters
        self._mentioned: dict[str, bool] = {}
        self.checks: dict[str, Callable[[Argument], str]] = {}
        self.required: list[str] = []

    def use(self, name: str, *, is_required: bool = False, in_list: bool = True) -> str:
        """Notes that a template mentions a parameter, and returns its name."""
        declared = self._declared.get(name)
        if declared is not None and declared.type is ParameterType.LIST and not in_list:
            raise ValueError(f"the list {name} cannot stand in a path or a header")
        self._mentioned[name] = self._mentioned.get(name, False) or is_required
        return name

    def close(self) -> None:
        """Works out the checks once every template is compiled."""
        unused = sorted(self._declared.keys() - self._mentioned.keys())
        if unused:
            raise ValueError(f"parameter {unused[0]} is declared and never used")
        for name, is_required in self._mentioned.items():
            declared = self._declared.get(name)
            self.checks[name] = _check_of(declared.type) if declared else _check_scalar
            if is_required or (declared is not None and declared.required):
                self.required.append(name)

    def listed(self) -> tuple[Parameter, ...]:
        """Returns them as the catalog shows them, by name."""
        found = []
        for name in sorted(self._mentioned):
            declared = self._declared.get(name)
            kind = declared.type if declared else ParameterType.STRING
            text = declared.description if declared else ""
            found.append(Parameter(name, kind, name in self.required, text))
        return tuple(found)

    def bind(self, call: Call) -> _Arguments:
        """Checks a call's parameters; INVALID_REQUEST names every one that is wrong."""
        arguments = call.parameters
        wrong: list[FieldViolation] = []
        for name, value in arguments.items():
            check = self.checks.get(name)
            problem = "is not a parameter of this operation" if check is None else check(value)
            if problem:
                wrong.append(FieldViolation(_field(name), problem))
        missing = (name for name in self.required if name not in arguments)
        wrong += [FieldViolation(_field(name), "is missing") for name in missing]
        if wrong:
            _refuse(*wrong)
        return arguments


def _check_of(kind: ParameterType) -> Callable[[Argument], str]:
    types, problem = _TYPES[kind]

    def check(value: Argument) -> str:
        is_right = isinstance(value, types) and isinstance(value, bool) is (types == (bool,))
        return "" if is_right and _is_finite(value) else problem

    return check


def _check_scalar(value: Argument) -> str:
    is_right = isinstance(value, (str, int, float)) and _is_finite(value)
    return "" if is_right else "must be a text, a finite number, true or false"


def _is_finite(value: Argument) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _field(name: str) -> str:
    """Names a parameter in a violation; a name that cannot be one of ours is not repeated."""
    return f"parameters[{name}]" if _NAME.fullmatch(name) else "parameters"


def _refuse(*wrong: FieldViolation) -> NoReturn:
    raise Failure(Reason.INVALID_REQUEST, "The request does not fit the operation.", fields=wrong)


def _text(value: Argument) -> str:
    """Writes a scalar as upstreams read it in a query, a path or a header."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _reference(text: str) -> str | None:
    """Returns the parameter that `$req.NAME` names, or None for a text that names none."""
    if not text.startswith("$") or text.startswith("$$"):
        return None
    path = compile_path(text)
    if path.root != "req" or len(path.steps) != 1 or not isinstance(path.steps[0], str):
        raise ValueError(f"expected $req.NAME, or $$ for a dollar sign, not {text}")
    return path.steps[0]


def _literal(value: str | float) -> str:
    text = _text(value)
    return text[1:] if text.startswith("$$") else text


# --- the request ---------------------------------------------------------------------------------


def _compile_build(
    operation: OperationConfig, upstream: Upstream, known: _Parameters, body: _Body
) -> Callable[[Call], Wire]:
    path = _compile_path(urlsplit(upstream.rest).path, operation.path, known)
    query = _compile_query(operation, upstream, known)
    headers = _compile_headers(operation, known)
    known.close()
    bind, produces = known.bind, operation.produces
    is_open = bare(produces) == ANY

    def build(call: Call) -> Wire:
        arguments = bind(call)
        if not is_open and preferred(call.accept, produces) is None:
            raise _unacceptable(Reached.NOT_SENT)
        own: _Headers = headers(call, arguments)
        data = body(call, own)
        return Wire(path(arguments) + query(arguments), own, data)

    return build


def _compile_path(prefix: str, path: str, known: _Parameters) -> Callable[[_Arguments], str]:
    """The prefix and the literal parts go out as they stand, each value as one segment or less."""
    if not path.startswith("/") or not is_literal_path(_PLACE.sub("x", path)):
        raise ValueError("a path begins with / and is written encoded, without query or dots")
    pieces = _PLACE.split(prefix + path)
    literals, names = pieces[0::2], pieces[1::2]
    for segment in path.split("/"):
        if _PLACE.search(segment) and set(_PLACE.sub("", segment)) == {"."}:
            raise ValueError("a parameter cannot stand beside nothing but dots")
    for name in names:
        known.use(name, is_required=True, in_list=False)
    if not names:
        return lambda _: literals[0]

    def build(arguments: _Arguments) -> str:
        parts = [literals[0]]
        for name, literal in zip(names, literals[1:], strict=True):
            try:
                parts.append(encode_segment(_text(arguments[name])))
            except ValueError as error:
                _refuse(FieldViolation(_field(name), str(error)))
            parts.append(literal)
        return "".join(parts)

    return build


def _compile_query(
    operation: OperationConfig, upstream: Upstream, known: _Parameters
) -> Callable[[_Arguments], str]:
    pairs = _compile_pairs(operation.query, known)
    auth = upstream.auth.api_key if upstream.auth else None
    key = encode_pairs([(auth.query, auth.value.reveal())]) if auth and auth.query else ""

    def build(arguments: _Arguments) -> str:
        values = pairs(arguments)
        for name, value in values:
            if not is_text(value):
                _refuse(FieldViolation(f"query[{name}]", "must not have control characters"))
        query = "&".join(part for part in (encode_pairs(values), key) if part)
        return f"?{query}" if query else ""

    if not operation.query:
        fixed = f"?{key}" if key else ""
        return lambda _: fixed
    return build


def _compile_pairs(
    template: Mapping[str, str | int | float | bool], known: _Parameters
) -> Callable[[_Arguments], list[tuple[str, str]]]:
    """Compiles a query or a form: a list repeats its name, what is missing is left out."""
    plan: list[tuple[str, str | None, str]] = []
    for key, value in template.items():
        name = _reference(value) if isinstance(value, str) else None
        plan.append((key, known.use(name) if name else None, _literal(value)))

    def build(arguments: _Arguments) -> list[tuple[str, str]]:
        pairs = []
        for key, name, text in plan:
            if name is None:
                pairs.append((key, text))
                continue
            value = arguments.get(name)
            if isinstance(value, tuple):
                pairs += [(key, each) for each in value]
            elif value is not None:
                pairs.append((key, _text(value)))
        return pairs

    return build


def _compile_headers(
    operation: OperationConfig, known: _Parameters
) -> Callable[[Call, _Arguments], _Headers]:
    plan = []
    for header, text in operation.headers.items():
        name = _reference(text)
        if name is not None:
            plan.append((header, known.use(name, in_list=False)))
    key_header = operation.idempotency_header

    def build(call: Call, arguments: _Arguments) -> _Headers:
        headers: _Headers = []
        for header, name in plan:
            value = arguments.get(name)
            if value is not None:
                headers.append((header, _header_value(_text(value), _field(name))))
        if key_header and call.idempotency_key:
            headers.append((key_header, _header_value(call.idempotency_key, "idempotency_key")))
        return headers

    return build


def _header_value(text: str, place: str) -> str:
    """Lets a text into a header only if it stays one line of the same letters there."""
    if len(text) > _LONGEST_HEADER or not is_value(text):
        _refuse(FieldViolation(place, "must be one line of printable Latin-1 text"))
    return text


def _fixed_headers(operation: OperationConfig, upstream: Upstream) -> list[tuple[str, str]]:
    """Collects what every request carries; ValueError for a header that is named twice."""
    headers = [(name, value.reveal()) for name, value in upstream.headers.items()]
    if upstream.auth is not None:
        headers += _auth_headers(upstream.auth)
    fixed = {k: v for k, v in operation.headers.items() if _reference(v) is None}
    headers += [(name, _literal(value)) for name, value in fixed.items()]
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


def _compile_body(operation: OperationConfig, known: _Parameters) -> _Body:
    if operation.form:
        return _compile_form(operation, known)
    if operation.body is None:
        return _no_body
    if operation.body == "$payload":
        return _compile_payload(operation.consumes)
    return _compile_document(operation.body, known)


def _no_body(call: Call, _: _Headers) -> None:
    if call.payload is not None and call.payload.data:
        _refuse(FieldViolation("payload", "this operation takes no payload"))


def _compile_form(operation: OperationConfig, known: _Parameters) -> _Body:
    pairs = _compile_pairs(operation.form, known)

    def build(call: Call, headers: _Headers) -> bytes:
        _no_body(call, headers)
        headers.append(("Content-Type", _FORM))
        try:
            return encode_pairs(pairs(call.parameters)).encode("ascii")
        except UnicodeEncodeError:
            _refuse(FieldViolation("parameters", "must be whole Unicode text"))

    return build


def _compile_payload(consumes: str) -> _Body:
    """The caller's own bytes, as they are where their type is what the upstream consumes."""
    check_header("content-type", consumes)

    def build(call: Call, headers: _Headers) -> bytes:
        payload = call.payload
        if payload is None:
            _refuse(FieldViolation("payload", "is missing"))
        media_type = payload.media_type or (JSON if bare(consumes) == ANY else consumes)
        target = preferred((consumes,), media_type)
        if target is None:
            raise _unacceptable(Reached.NOT_SENT, "payload.media_type")
        headers.append(("Content-Type", _header_value(target, "payload.media_type")))
        if target == media_type:
            return payload.data
        try:
            return transcode(payload.data, media_type, target)
        except CodecError as error:
            _refuse(FieldViolation("payload.data", _describe(error)))

    return build


def _compile_document(template: Value, known: _Parameters) -> _Body:
    """A JSON document made of literals, parameters and parts of the payload."""
    uses: list[str] = []
    make = _compile_value(template, known, uses)

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
            _refuse(FieldViolation("parameters", _describe(error)))

    return build


def _payload_value(call: Call) -> Value:
    payload = call.payload
    if payload is None:
        _refuse(FieldViolation("payload", "is missing"))
    codec = codec_for(payload.media_type or JSON)
    if codec is None:
        raise _unacceptable(Reached.NOT_SENT, "payload.media_type")
    try:
        return codec.decode(payload.data)
    except CodecError as error:
        _refuse(FieldViolation("payload.data", _describe(error)))


def _compile_value(template: Value, known: _Parameters, uses: list[str]) -> _Make:
    """Compiles one value of a document; MISSING leaves its member out."""
    if isinstance(template, dict):
        members = {key: _compile_value(each, known, uses) for key, each in template.items()}
        return lambda arguments, payload: {
            key: value
            for key, make in members.items()
            if (value := make(arguments, payload)) is not MISSING
        }
    if isinstance(template, list):
        items = [_compile_value(each, known, uses) for each in template]
        return lambda arguments, payload: [
            value for make in items if (value := make(arguments, payload)) is not MISSING
        ]
    if isinstance(template, str) and template.startswith("$") and not template.startswith("$$"):
        return _compile_reference(template, known, uses)
    literal = _literal(template) if isinstance(template, str) else template
    return lambda _, __: literal


def _compile_reference(template: str, known: _Parameters, uses: list[str]) -> _Make:
    path = compile_path(template)
    if path.root == "payload":
        uses.append(template)
        return lambda _, payload: path.extract(payload)
    name = known.use(_reference(template) or "")

    def take(arguments: _Arguments, _: Value) -> Value:
        value = arguments.get(name, MISSING)
        return list(value) if isinstance(value, tuple) else value

    return take


def _describe(error: CodecError) -> str:
    return f"{error} ({error.place})" if error.place else str(error)


# --- the answer ----------------------------------------------------------------------------------


def _compile_read(operation: OperationConfig) -> Callable[[HttpResponse, Call, float], Reply]:
    judge: Judge = compile_rules(operation.errors)
    pick = _compile_reply(operation)
    produces, must_parse = operation.produces, operation.check
    may_be_empty = operation.method not in ("get", "options") and pick is None

    def read(response: HttpResponse, call: Call, wall: float) -> Reply:
        failure = judge(response, wall)
        if failure is not None:
            raise failure
        if not response.body and (may_be_empty or response.status in (204, 205)):
            return Reply(Payload("", b""), str(response.status))
        source = response.headers.get("content-type", "")
        _check_type(response, source, produces)
        target = preferred(call.accept, source)
        if target is None:
            raise _unacceptable(Reached.REPLIED)
        if pick is None and target == source and not must_parse:
            return Reply(Payload(source, response.body), str(response.status))
        data = _rewrite(response, source, target, pick)
        return Reply(Payload(target, data), str(response.status))

    return read


def _compile_reply(operation: OperationConfig) -> Callable[[Value], Value] | None:
    """Compiles what of an answer the caller gets, or returns None if it is the whole."""
    if operation.reply == "$":
        return None
    if codec_for(operation.produces) is None:
        raise ValueError("`reply` needs an answer that can be read: see `produces`")
    return _compile_pick(operation.reply)


def _compile_pick(template: Value) -> Callable[[Value], Value]:
    if isinstance(template, dict):
        members = {key: _compile_pick(each) for key, each in template.items()}
        return lambda value: {key: pick(value) for key, pick in members.items()}
    if not isinstance(template, str) or not template.startswith("$"):
        raise ValueError("`reply` is made of paths such as $.data")
    path = compile_path(template)
    if path.root:
        raise ValueError("`reply` looks at the answer, whose paths begin with `$.`")

    def pick(value: Value) -> Value:
        found = path.extract(value)
        if found is MISSING:
            raise Failure(
                Reason.CONTRACT_DRIFT,
                "The upstream's answer lacks a value that it should have.",
                reached=Reached.REPLIED,
                place=template,
            )
        return found

    return pick


def _check_type(response: HttpResponse, source: str, produces: str) -> None:
    """Refuses an answer of another type than the one declared: a login page, an empty body."""
    if bare(produces) == ANY:
        return
    if not accepts((produces,), source):
        raise _malformed(response, "content-type")
    if codec_for(source) is json:
        if charset(source) not in _UTF8:
            raise _malformed(response, "charset")
        if not json.looks_like_json(response.body):
            raise _malformed(response, "body")
    elif not response.body:
        raise _malformed(response, "body")


def _rewrite(
    response: HttpResponse, source: str, target: str, pick: Callable[[Value], Value] | None
) -> bytes:
    """Reads the answer, and writes what of it is asked for in the type that is asked for."""
    reader, writer = codec_for(source), codec_for(target)
    if reader is None or writer is None:
        return response.body
    try:
        value = reader.decode(response.body)
    except CodecError as error:
        raise _malformed(response, _describe(error)) from error
    if pick is None and reader is writer:
        return response.body
    try:
        return writer.encode(value if pick is None else pick(value))
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
