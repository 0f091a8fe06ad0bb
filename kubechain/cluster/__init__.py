"""The cluster under test: an existing one or a kind cluster, and the programs that make it."""
