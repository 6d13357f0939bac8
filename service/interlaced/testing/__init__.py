"""Shipped with the service: conformance suites, fakes and the fault proxy."""
