"""Every Secret of a model is found with its place."""

from pydantic import Field

from interlaced.core.secret import Secret
from interlaced.manifest.secrets_within import secrets_within
from interlaced.schema.fields import SecretField, Strict


class Inner(Strict):
    token: SecretField
    other: str = ""


class Outer(Strict):
    inner: Inner = Field(alias="in")
    headers: dict[str, SecretField] = Field(default_factory=dict)
    many: tuple[Inner, ...] = ()
    unset: SecretField = Secret("default")


def test_secrets_are_found_with_the_keys_of_the_document() -> None:
    outer = Outer.model_validate(
        {"in": {"token": "a", "other": "x"}, "headers": {"H": "b"}, "many": [{"token": "c"}]}
    )
    assert list(secrets_within(outer)) == [
        (("in", "token"), Secret("a")),
        (("headers", "H"), Secret("b")),
        (("many", 0, "token"), Secret("c")),
    ]
