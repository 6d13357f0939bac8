"""Secrets are found under their directory and nowhere else."""

from pathlib import Path

import pytest

from interlaced.manifest.files import read_limited
from interlaced.manifest.secret_files import SecretFiles, no_secrets


@pytest.fixture
def secrets(tmp_path: Path) -> SecretFiles:
    folder = tmp_path / "secrets"
    (folder / "mounted").mkdir(parents=True)
    (folder / "mounted" / "token").write_text("from-a-file\n")
    (folder / "pairs").write_text("# comment\nexport TOKEN='quoted'\nKEY=a=b\n")
    (folder / "shop.yaml").write_text("token: yaml-token\nnested: {a: 1}\n")
    (folder / "shop2.json").write_text('{"token": "json-token", "pin": 1234}')
    (folder / "shop3.env").write_text("TOKEN=env-token\n")
    (folder / "whole").write_text("all of it\n")
    (folder / "big").write_text("TOKEN=" + "x" * 70_000)
    (tmp_path / "outside").write_text("TOKEN=outside\n")
    return SecretFiles(folder, read_limited)


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ("mounted", "token", "from-a-file"),
        ("pairs", "TOKEN", "quoted"),
        ("pairs", "KEY", "a=b"),
        ("shop", "token", "yaml-token"),
        ("shop2", "token", "json-token"),
        ("shop2", "pin", "1234"),
        ("shop3", "TOKEN", "env-token"),
        ("whole", "", "all of it"),
        ("shop", "nested", None),
        ("shop", "other", None),
        ("big", "TOKEN", None),
        ("nowhere", "x", None),
        ("../outside", "TOKEN", None),
        ("/etc/passwd", "", None),
        ("mounted", "../whole", None),
        ("", "", None),
    ],
)
def test_a_secret_is_found(secrets: SecretFiles, path: str, key: str, value: str | None) -> None:
    assert secrets(path, key) == value


def test_without_a_directory_there_are_none() -> None:
    assert no_secrets("shop", "token") is None
