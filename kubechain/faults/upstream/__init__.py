"""Upstream's own conformance tests under the same faults."""
