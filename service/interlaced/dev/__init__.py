"""Fake upstreams that misbehave on request: the demo and the test rig."""
