"""Manifests from files: everything that can be known without building a connector.

All problems of all files are found in one go. Nothing here touches a network, and kinds that no
file names are not imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from interlaced.core.secret import Secret
from interlaced.manifest.codes import Code, Severity
from interlaced.manifest.digest import private_digest, public_hash
from interlaced.manifest.draft import Draft
from interlaced.manifest.files import ManifestFile, find_files, read_limited
from interlaced.manifest.manifests import Manifest, Manifests
from interlaced.manifest.policies import PolicyBook, PolicyUse, check_named
from interlaced.manifest.problem import ManifestError, Problem
from interlaced.manifest.propose import propose_key, propose_name
from interlaced.manifest.read_connector import read_connector
from interlaced.manifest.references import ReadFile, Resolver, SecretProvider, has_reference
from interlaced.manifest.schema import header_schema, policy_schema
from interlaced.manifest.secret_files import SecretFiles, no_secrets
from interlaced.manifest.secrets_within import secrets_within
from interlaced.manifest.shape import Shape, is_telling
from interlaced.manifest.source import Finding, MapNode, ScalarNode
from interlaced.manifest.validation import find_key, find_value

__all__ = ["Manifest", "Manifests", "load"]


def load(
    paths: Iterable[Path | str],
    *,
    env: Mapping[str, str] | None = None,
    read_file: ReadFile = read_limited,
    secret: SecretProvider | None = None,
) -> Manifests:
    """Loads files and directories; raises ManifestError with every problem of every file.

    `env` is the process's environment by default. `read_file(path, limit)` reads at most `limit`
    bytes and one more. `secret(path, key)` is by default the directory INTERLACE_SECRETS.
    """
    env = os.environ if env is None else env
    if secret is None:
        place = env.get("INTERLACE_SECRETS")
        secret = SecretFiles(Path(place), read_file) if place else no_secrets
    loading = _Loading(Resolver(env, read_file, secret))
    for found in find_files(Path(path) for path in paths):
        if isinstance(found, Problem):
            loading.problems.append(found)
        else:
            loading.read(ManifestFile.read(found, read_file))
    return loading.finish()


@dataclass(slots=True)
class _Loading:
    """What is known so far: files, policies, drafts of connectors, secrets, problems."""

    resolver: Resolver
    files: list[ManifestFile] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    book: PolicyBook = field(default_factory=PolicyBook)
    policy_files: dict[str, ManifestFile] = field(default_factory=dict)
    connectors: dict[str, Manifest] = field(default_factory=dict)
    secrets: dict[Secret, None] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def read(self, file: ManifestFile) -> None:
        """Takes in a file: its policies at once, its connectors when all policies are known."""
        self.files.append(file)
        resolver = replace(self.resolver, base=file.base)
        for node in file.source.documents:
            if isinstance(node, MapNode):
                self._sort_in(Draft(file, node, resolver.resolve(node)))
            elif not (isinstance(node, ScalarNode) and node.value is None):
                message = "expected a mapping that begins with `interlace: 1`"
                file.findings.append(Finding(node.span, Code.NOT_A_MAPPING, message))

    def _sort_in(self, draft: Draft) -> None:
        draft.file.findings.extend(draft.resolved.findings)
        self.secrets.update(dict.fromkeys(draft.resolved.secrets))
        _check_version(draft)
        if ("connector" in draft.data) == ("policies" in draft.data):
            _note_unknown_document(draft)
        elif "policies" in draft.data:
            self._read_policies(draft)
        else:
            self.drafts.append(draft)

    def _read_policies(self, draft: Draft) -> None:
        draft.has_shape(lambda: Shape.of(policy_schema()))
        for key in draft.data:
            if key not in ("interlace", "policies"):
                hint = propose_key(Shape.of(policy_schema()), key)
                draft.note((key,), Code.UNKNOWN_KEY, f"unknown key {key!r}", hint)
        policies = draft.data["policies"]
        if not isinstance(policies, dict):
            message = "policies: expected a mapping of names to policies"
            draft.note_value(("policies",), Code.BAD_VALUE, message)
            return
        for name, values in policies.items():
            self._read_policy(draft, name, {} if values is None else values)

    def _read_policy(self, draft: Draft, name: str, values: object) -> None:
        keys = ("policies", name)
        draft.check_name(name, keys, is_key=True)
        use = PolicyUse(draft.node, keys, values, draft.file_name, draft.resolved.broken)
        found = check_named(use)
        draft.file.findings.extend(found)
        if name in self.policy_files:
            where = self.policy_files[name].name
            message = f"the policy {name!r} is already in {where}"
            draft.note(keys, Code.DUPLICATE_NAME, message)
            return
        self.policy_files[name] = draft.file
        usable = values if isinstance(values, dict) and not found else {}
        self.book.add(name, usable, file=draft.file_name, span=find_key(draft.node, keys))

    def finish(self) -> Manifests:
        """Reads the connectors; raises ManifestError if there is any error."""
        for draft in self.drafts:
            self._add(draft, read_connector(draft, self.book))
        has_errors = any(file.has_errors for file in self.files)
        for name, span in () if has_errors else self.book.unused().items():
            found = Finding(span, Code.UNUSED_POLICY, f"the policy {name!r} is not used")
            self.policy_files[name].findings.append(found)
        for file in self.files:
            if file.findings:
                self.problems += file.problems(file.findings, self.secrets)
        if any(problem.severity is Severity.ERROR for problem in self.problems):
            raise ManifestError(self.problems)
        hidden = frozenset(self.hidden)
        documents = [(node, hidden) for file in self.files for node in file.source.documents]
        return Manifests(
            connectors=dict(sorted(self.connectors.items())),
            secrets=tuple(self.secrets),
            warnings=tuple(self.problems),
            config_hash=public_hash(documents),
            digest=private_digest(sorted(each.digest for each in self.connectors.values())),
        )

    def _add(self, draft: Draft, manifest: Manifest | None) -> None:
        if manifest is None:
            return
        if manifest.name in self.connectors:
            where = self.connectors[manifest.name].file.name
            message = f"the connector {manifest.name!r} is already in {where}"
            draft.note_value(("connector",), Code.DUPLICATE_NAME, message)
            return
        self.connectors[manifest.name] = manifest
        self._learn_secrets(draft, manifest)

    def _learn_secrets(self, draft: Draft, manifest: Manifest) -> None:
        """Collects secrets, and warns of those that are written out in the file."""
        for keys, secret in secrets_within(manifest.config):
            node = find_value(draft.node, keys)
            is_written = isinstance(node, ScalarNode) and not has_reference(node.text)
            if is_written and not any(is_telling(str(key)) for key in keys):
                continue  # such as `headers: {Accept-Language: en}`, a secret by type only
            self.secrets[secret] = None
            if is_written:
                self.hidden.add(id(node))
                hint = "write ${env:NAME}, ${file:/path} or ${secret:path#key}"
                draft.note_value(keys, Code.WRITTEN_SECRET, "a secret is written out", hint)


def _check_version(draft: Draft) -> None:
    version = draft.data.get("interlace")
    if "interlace" not in draft.data:
        message = "the key `interlace` is missing"
        draft.note((), Code.BAD_VERSION, message, "begin with `interlace: 1`")
    elif version != 1 or type(version) is not int:
        message = "interlace: only version 1 is known"
        draft.note_value(("interlace",), Code.BAD_VERSION, message, "write `interlace: 1`")


def _note_unknown_document(draft: Draft) -> None:
    draft.has_shape(lambda: Shape.of(header_schema()))
    message = "expected a document with either the key `connector` or the key `policies`"
    hints = (propose_name(key, ("connector", "policies")) for key in draft.data)
    hint = next((hint for hint in hints if hint.startswith("did")), "")
    draft.note((), Code.UNKNOWN_DOCUMENT, message, "" if "connector" in draft.data else hint)
