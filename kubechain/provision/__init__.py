"""Providing the cluster of a run, and cleaning up after runs."""
