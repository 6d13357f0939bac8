"""What a configuration says, checked: connectors with their settings and policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from interlaced.connectors.registry import BuildConnector
from interlaced.core.secret import Secret
from interlaced.manifest.codes import Code
from interlaced.manifest.files import ManifestFile
from interlaced.manifest.policies import EffectivePolicy
from interlaced.manifest.problem import Problem
from interlaced.manifest.source import Finding, Node, ScalarNode
from interlaced.manifest.validation import Keys, find_key, find_value
from interlaced.schema.fields import Strict

__all__ = ["Manifest", "Manifests"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One connector as configured. `policies` has the operations and sinks with a policy of their
    own, as `operations.NAME` and `sinks.NAME`; the others have the connector's. `digest` changes
    with anything that it says, policies and secrets included; it means nothing in another process.
    """

    name: str
    kind: str
    description: str
    config: Strict
    build: BuildConnector
    policy: EffectivePolicy
    policies: Mapping[str, EffectivePolicy]
    digest: str
    file: ManifestFile
    document: Node

    def policy_of(self, section: str, name: str) -> EffectivePolicy:
        """Returns the policy in force for a member of `operations` or `sinks`."""
        return self.policies.get(f"{section}.{name}", self.policy)

    def finding(self, keys: Keys, code: Code, message: str, hint: str = "") -> Finding:
        """Returns a finding at a place of this manifest: at its value, if that is a single one."""
        node = find_value(self.document, keys)
        is_single = isinstance(node, ScalarNode) and node.text
        span = node.span if node and is_single else find_key(self.document, keys)
        return Finding(span, code, message, hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """All connectors by name, everything secret that they hold, and what deserves a warning.

    `config_hash` is equal wherever the same files are read: it covers neither secrets nor what
    references lead to. `digest` covers both, and means nothing in another process.
    """

    connectors: Mapping[str, Manifest]
    secrets: tuple[Secret, ...]
    warnings: tuple[Problem, ...]
    config_hash: str
    digest: str
