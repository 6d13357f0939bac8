"""What a rest manifest may say."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from interlaced.connectors.rest import connector
from interlaced.connectors.rest.config import Config
from interlaced.core.model import Effect
from interlaced.testing.fakes import make_tools

README = Path(connector.__file__).with_name("README.md")


def config(operation: dict[str, Any], **upstream: Any) -> Config:
    return Config.model_validate(
        {"upstream": {"rest": "http://a", **upstream}, "operations": {"Op": operation}}
    )


def manifest() -> dict[str, Any]:
    text = README.read_text().partition("```yaml\n")[2].partition("```")[0]
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return document


async def test_the_manifest_of_the_readme_builds() -> None:
    document = manifest()
    for key in ("interlace", "connector", "description"):
        document.pop(key)
    document["upstream"]["rest"] = "http://127.0.0.1:1/v2"
    built = connector.build("shop", Config.model_validate(document), make_tools())
    effects = {name: operation.effect for name, operation in built.operations.items()}
    assert effects == {
        "GetProduct": Effect.SAFE,
        "ListProducts": Effect.SAFE,
        "CreateOrder": Effect.UNSAFE,
        "ReplaceNote": Effect.IDEMPOTENT,
        "Search": Effect.SAFE,
        "Invoice": Effect.SAFE,
    }
    assert built.operations["CreateOrder"].takes_key
    assert built.operations["CreateOrder"].creates
    assert dict(built.feeds) == dict(built.sinks) == {}
    await built.close()


BAD_OPERATIONS: dict[str, dict[str, Any]] = {
    "no method": {},
    "two methods": {"get": "/a", "post": "/b"},
    "no slash": {"get": "a"},
    "a query in the path": {"get": "/a?b=c"},
    "a blank in the path": {"get": "/a b"},
    "dots in the path": {"get": "/a/../b"},
    "dots beside a parameter": {"get": "/a/.{x}"},
    "a bad placeholder": {"get": "/a/{x y}"},
    "body and form": {"post": "/a", "body": "$payload", "form": {"a": "b"}},
    "an unused parameter": {"get": "/a", "parameters": {"x": {}}},
    "a list in the path": {"get": "/{x}", "parameters": {"x": {"type": "list"}}},
    "another root": {"get": "/a", "query": {"x": "$env.HOME"}},
    "a deep reference": {"get": "/a", "query": {"x": "$req.a.b"}},
    "a line end in a header": {"get": "/a", "headers": {"X": "a\r\nb"}},
    "a framing header": {"get": "/a", "headers": {"Host": "b"}},
    "a header twice": {"get": "/a", "headers": {"X": "a"}, "idempotency_header": "x"},
    "a content type": {"get": "/a", "headers": {"Content-Type": "a/b"}},
    "a reply of nothing": {"get": "/a", "reply": "data"},
    "a reply of the request": {"get": "/a", "reply": "$req.x"},
    "a reply of what cannot be read": {"get": "/a", "reply": "$.a", "produces": "text/csv"},
    "a status that is none": {"get": "/a", "errors": {99: {"reason": "UPSTREAM_FAILED"}}},
    "a reason that blames us": {"get": "/a", "errors": {404: {"reason": "INTERNAL_ERROR"}}},
    "persistent": {
        "get": "/a",
        "errors": {404: {"reason": "UPSTREAM_FAILED", "disposition": "persistent"}},
    },
    "a condition that is no path": {
        "get": "/a",
        "errors": {404: {"reason": "UPSTREAM_FAILED", "when": {"code": 1}}},
    },
    "an unknown key": {"get": "/a", "retries": 3},
}


@pytest.mark.parametrize("name", BAD_OPERATIONS)
def test_an_operation_that_cannot_work_is_refused_at_load(name: str) -> None:
    with pytest.raises(ValidationError):
        config(BAD_OPERATIONS[name])


BAD_UPSTREAMS: dict[str, dict[str, Any]] = {
    "unknown transport": {"transport": "httpx"},
    "no scheme": {"rest": "api.example.com"},
    "another scheme": {"rest": "ftp://a"},
    "no host": {"rest": "http://"},
    "a bad port": {"rest": "http://a:99999"},
    "a query": {"rest": "http://a?b=c"},
    "a fragment": {"rest": "http://a#b"},
    "credentials": {"rest": "http://user:pass@a"},
    "dots": {"rest": "http://a/../b"},
    "an empty query": {"rest": "http://a/?"},
    "an empty fragment": {"rest": "http://a/#"},
    "an empty label": {"rest": "http://a..b"},
    "a label that is too long": {"rest": f"http://{'a' * 64}.example"},
    "a blank in the host": {"rest": "http://a b"},
    "an encoded host": {"rest": "http://a%2eb"},
    "a host of stars": {"rest": "http://*"},
    "a line end": {"rest": "http://a\nb"},
    "a backslash": {"rest": "http://a\\@b"},
    "no auth": {"auth": {}},
    "two auths": {"auth": {"bearer": "a", "basic": {"username": "b", "password": "c"}}},
    "a key without a place": {"auth": {"api_key": {"value": "a"}}},
    "a key in two places": {"auth": {"api_key": {"value": "a", "header": "X", "query": "x"}}},
    "a colon in a username": {"auth": {"basic": {"username": "a:b", "password": "c"}}},
    "a line end in a token": {"auth": {"bearer": "a\nb"}},
    "authorization twice": {"auth": {"bearer": "a"}, "headers": {"authorization": "b"}},
    "a framing header": {"headers": {"Content-Length": "1"}},
    "a wildcard": {"allow_private": ["*.internal"]},
    "a bad network": {"allow_private": ["10.0.0.0/99"]},
    "a key without its certificate": {"tls": {"key": "key.pem"}},
    "no time": {"idle": "0s"},
}


@pytest.mark.parametrize("name", BAD_UPSTREAMS)
def test_an_upstream_that_cannot_work_is_refused_at_load(name: str) -> None:
    with pytest.raises(ValidationError):
        config({"get": "/a"}, **BAD_UPSTREAMS[name])


def test_secrets_are_not_shown() -> None:
    """P49."""
    shown = config({"get": "/a"}, auth={"bearer": "canary"}, headers={"X-Key": "canary"})
    assert "canary" not in repr(shown) + str(shown.model_dump()) + shown.model_dump_json()


def test_secrets_are_not_pickled() -> None:
    """P49."""
    with pytest.raises(TypeError, match="Secret cannot be pickled"):
        pickle.dumps(config({"get": "/a"}, auth={"bearer": "canary"}))


def test_an_error_repeats_no_secret() -> None:
    with pytest.raises(ValidationError) as caught:
        config({"get": "/a"}, auth={"bearer": "canary\n"})
    assert "canary" not in "".join(each["msg"] for each in caught.value.errors())


def test_the_schema_of_every_field_says_what_it_is() -> None:
    schema = Config.model_json_schema()
    for name, model in schema["$defs"].items():
        for key, value in model.get("properties", {}).items():
            assert value.get("description") or "$ref" in value or "enum" in value, f"{name}.{key}"
