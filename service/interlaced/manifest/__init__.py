"""Manifests: loaded with line numbers, compiled, built, explained."""
