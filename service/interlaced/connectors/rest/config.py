"""The settings of the rest kind."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, JsonValue, model_validator

from interlaced.core.failure import Disposition, Reason
from interlaced.core.model import Effect
from interlaced.core.path import compile_path
from interlaced.core.ports import ParameterType
from interlaced.schema.fields import Duration, Name, SecretField, Size, Strict
from interlaced.transport.egress import EgressGuard, is_host_name
from interlaced.transport.headers import check_header
from interlaced.transport.target import is_literal_path

__all__ = [
    "METHODS",
    "ApiKey",
    "Auth",
    "Basic",
    "Config",
    "ErrorRule",
    "OperationConfig",
    "ParameterConfig",
    "Tls",
    "Upstream",
]

METHODS = {
    "get": Effect.SAFE,
    "head": Effect.SAFE,
    "options": Effect.SAFE,
    "put": Effect.IDEMPOTENT,
    "delete": Effect.IDEMPOTENT,
    "post": Effect.UNSAFE,
    "patch": Effect.UNSAFE,
}
"""Every method, and whether it may be repeated unless the operation says otherwise (RFC 9110,
section 9.2.2)."""

_UPSTREAM_REASONS = frozenset(
    reason for reason in Reason if reason.startswith("UPSTREAM_") or reason == "CONTRACT_DRIFT"
)


def _check_url(text: str) -> str:
    url = urlsplit(text)
    if url.username is not None or "?" in text or "#" in text:
        raise ValueError("an address has neither credentials, query nor fragment: see `auth`")
    try:
        host = url.hostname or ""
        is_whole = ":" in host or is_host_name(host.encode("idna").decode("ascii"))
        is_whole = is_whole and url.scheme in {"http", "https"} and url.port != 0
    except ValueError:  # UnicodeError is one
        is_whole = False
    if not is_whole or not text.isprintable() or not is_literal_path(url.path):
        raise ValueError("expected http://HOST[:PORT][/PREFIX] or https://…, encoded as it is sent")
    return text.rstrip("/")


def _check_allowance(text: str) -> str:
    EgressGuard((text,))
    return text


def _check_header_name(text: str) -> str:
    check_header(text)
    return text


def _check_path(text: str) -> str:
    compile_path(text)
    return text


_HeaderName = Annotated[str, AfterValidator(_check_header_name)]
_PathText = Annotated[str, AfterValidator(_check_path)]


class Basic(Strict):
    """HTTP Basic authentication."""

    username: SecretField
    """The user's name."""
    password: SecretField
    """The password."""


class ApiKey(Strict):
    """A key in a header or in the query."""

    header: _HeaderName | None = None
    """The header that carries it."""
    query: str | None = Field(default=None, min_length=1)
    """The query parameter that carries it; a header is better, since addresses end up in logs."""
    value: SecretField
    """The key."""

    @model_validator(mode="after")
    def _has_one_place(self) -> "ApiKey":
        if (self.header is None) == (self.query is None):
            raise ValueError("an API key goes into either a `header` or the `query`")
        return self


class Auth(Strict):
    """How we prove who we are; exactly one of them."""

    bearer: SecretField | None = None
    """A token, sent as `Authorization: Bearer TOKEN`."""
    basic: Basic | None = None
    """A user's name and password."""
    api_key: ApiKey | None = None
    """A key in a header or in the query."""

    @model_validator(mode="after")
    def _is_one(self) -> "Auth":
        if sum(each is not None for each in (self.bearer, self.basic, self.api_key)) != 1:
            raise ValueError("name exactly one of `bearer`, `basic` and `api_key`")
        return self


class Tls(Strict):
    """TLS beyond the system's authorities. Verification cannot be switched off."""

    ca: Path | None = None
    """A PEM file of authorities to trust instead of the system's."""
    certificate: Path | None = None
    """A PEM file with our certificate, for servers that ask for one."""
    key: Path | None = None
    """A PEM file with its key, where the certificate's own file does not hold it."""

    @model_validator(mode="after")
    def _is_complete(self) -> "Tls":
        if self.key and not self.certificate:
            raise ValueError("a `key` needs its `certificate`")
        return self


class Upstream(Strict):
    """Where the API is, and how it is reached."""

    rest: Annotated[str, AfterValidator(_check_url)]
    """The base address, such as `https://api.example.com/v2`; its path is kept as a prefix."""
    auth: Auth | None = None
    """How we prove who we are."""
    headers: dict[_HeaderName, SecretField] = Field(default_factory=dict)
    """Headers of every request."""
    allow_private: tuple[Annotated[str, AfterValidator(_check_allowance)], ...] = ()
    """Addresses that are not public and may be connected to: exact hosts or CIDRs."""
    tls: Tls = Tls()
    """TLS beyond the system's authorities."""
    connect_timeout: Duration = Field(default=2.0, gt=0)
    """How long resolving, connecting and the TLS handshake may take together."""
    idle: Duration = Field(default=4.0, gt=0)
    """How long an idle connection is kept for the next request. Keep it below the server's own
    limit: where both end at once, a write can be lost without anyone knowing its fate. A server
    that says it (`Keep-Alive: timeout=5`) is believed, if that is less."""
    max_body: Size = Field(default=16 * 1024 * 1024, ge=1)
    """The largest answer, decoded."""
    transport: Literal["lean", "aiohttp"] = "lean"
    """What carries the requests: `lean` is the quick and strict one; `aiohttp` reads some sloppy
    answers that `lean` refuses."""


class ParameterConfig(Strict):
    """A parameter with its type; one that is only mentioned as `$req.NAME` takes any scalar."""

    type: ParameterType = ParameterType.STRING
    """`string`, `integer`, `number`, `boolean` or `list` (of texts; in a query it repeats)."""
    required: bool = False
    """Whether a call without it is refused; those in the path always are."""
    description: str = ""
    """What it means."""


class ErrorRule(Strict):
    """What an answer means, where the status alone would say something else."""

    reason: Reason
    """An `UPSTREAM_…` reason, or `CONTRACT_DRIFT`."""
    when: dict[_PathText, str | int | float | bool | None] = Field(default_factory=dict)
    """Values that the JSON body must have at these paths for the rule to apply."""
    disposition: Disposition | None = None
    """`temporary` or `permanent`, where the reason's own is wrong."""

    @model_validator(mode="after")
    def _blames_upstream(self) -> "ErrorRule":
        if self.reason not in _UPSTREAM_REASONS:
            raise ValueError("the reason must begin with UPSTREAM_, or be CONTRACT_DRIFT")
        if self.disposition is Disposition.PERSISTENT:
            raise ValueError("`persistent` is what a spent retry makes of `temporary`")
        return self


class OperationConfig(Strict):
    """One request. Exactly one method with its path; `{name}` in the path is a parameter."""

    description: str = ""
    """What it does."""
    get: str | None = None
    """GET this path."""
    head: str | None = None
    """HEAD this path."""
    options: str | None = None
    """OPTIONS this path."""
    put: str | None = None
    """PUT to this path."""
    delete: str | None = None
    """DELETE this path."""
    post: str | None = None
    """POST to this path."""
    patch: str | None = None
    """PATCH this path."""
    parameters: dict[Name, ParameterConfig] = Field(default_factory=dict)
    """Types of parameters."""
    query: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """The query: `$req.NAME` for a parameter, anything else as it stands (`$$` for a `$`)."""
    headers: dict[_HeaderName, str] = Field(default_factory=dict)
    """Headers of this request: `$req.NAME`, or as it stands."""
    body: JsonValue = None
    """`$payload` for the caller's own body, or a JSON template of `$req.NAME` and
    `$payload.PATH`."""
    form: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """A form (`application/x-www-form-urlencoded`), written as `query` is."""
    consumes: str = "application/json"
    """The media type that `body: $payload` must have or be turned into; `*/*` passes any."""
    produces: str = "application/json"
    """The media type that a good answer must have; `*/*` passes any."""
    check: bool = False
    """Reads every JSON answer to see that it is whole. Bodies that pass through untouched are
    otherwise only looked at from outside."""
    reply: JsonValue = "$"
    """What of the JSON answer the caller gets: `$.PATH`, or a template made of such paths."""
    effect: Effect | None = None
    """`safe`, `idempotent` or `unsafe`, where the method's own is wrong."""
    idempotency_header: _HeaderName | None = None
    """The header that carries the call's idempotency key."""
    creates: bool = False
    """Says that a conflict means that it exists already."""
    errors: dict[Annotated[int, Field(ge=200, le=599)], ErrorRule | list[ErrorRule]] = Field(
        default_factory=dict
    )
    """What statuses mean; the first rule of a status that applies wins."""

    @model_validator(mode="after")
    def _is_one_request(self) -> "OperationConfig":
        named = [name for name in METHODS if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(f"name exactly one of {', '.join(f'`{name}`' for name in METHODS)}")
        if self.body is not None and self.form:
            raise ValueError("a request has either a `body` or a `form`")
        return self

    @property
    def method(self) -> str:
        """The method, in lower case."""
        return next(name for name in METHODS if getattr(self, name) is not None)

    @property
    def path(self) -> str:
        """The path with its placeholders."""
        path: str = getattr(self, self.method)
        return path


class Config(Strict):
    """A connector of the rest kind."""

    upstream: Upstream
    """Where the API is."""
    operations: dict[Name, OperationConfig] = Field(default_factory=dict)
    """What can be asked, by name."""

    @model_validator(mode="after")
    def _compiles(self) -> "Config":
        # Templates are compiled here once only to be refused with their place in the manifest.
        from interlaced.connectors.rest.recipe import compile_operation  # noqa: PLC0415  # cycle

        for name, operation in self.operations.items():
            try:
                compile_operation(operation, self.upstream)
            except ValueError as error:
                raise ValueError(f"operation {name}: {error}") from error
        return self
