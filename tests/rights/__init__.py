"""Proves the generated roles by the audit log of a cluster: `make rights CONTEXT=NAME`."""
