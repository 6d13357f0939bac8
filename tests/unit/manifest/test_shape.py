"""A schema tells keys, values and secrets at any place."""

from interlaced.manifest.schema import connector_schema, policy_schema
from interlaced.manifest.shape import Shape, is_telling

REST = Shape.of(connector_schema("rest"))


def test_keys_are_those_of_the_place() -> None:
    assert {"interlace", "connector", "upstream", "operations", "policy"} <= set(REST.keys)
    assert "bearer" in REST.at("upstream").at("auth").keys
    operation = REST.at("operations").at("Anything")
    assert {"get", "query", "policy"} <= set(operation.keys)
    assert "attempts" in operation.at("policy").at("retry").keys


def test_secrets_are_known() -> None:
    auth = REST.at("upstream").at("auth")
    assert auth.at("bearer").is_secret
    assert auth.at("basic").at("password").is_secret
    assert REST.at("upstream").at("headers").at("X-Any").is_secret
    assert not REST.at("upstream").at("rest").is_secret


def test_what_no_schema_knows_is_unknown() -> None:
    assert not REST.at("nothing").is_known
    assert not REST.at("upstream").at("tokne").is_known
    assert not REST.at("upstream").at(3).is_known
    assert not REST.at("nothing").at("below").is_known


def test_free_values_allow_anything() -> None:
    body = REST.at("operations").at("X").at("body")
    assert body.is_known
    assert not body.is_typed
    assert body.at("any").at(0).is_known


def test_values_and_paths() -> None:
    effect = REST.at("operations").at("X").at("effect")
    assert effect.values == ("safe", "idempotent", "unsafe")
    policy = Shape.of(policy_schema()).at("policies").at("any")
    assert {"deadline", "retry", "retry.attempts", "breaker.window"} <= set(policy.paths())
    assert policy.takes_scalar("deadline")
    assert not policy.takes_scalar("bulkhead")


def test_telling_names() -> None:
    assert all(map(is_telling, ("password", "X-Api-Key", "client_secret", "Authorization")))
    assert not any(map(is_telling, ("deadline", "key", "query")))
