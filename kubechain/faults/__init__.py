"""Faults injected into a cluster, and how the suite scores under each."""
