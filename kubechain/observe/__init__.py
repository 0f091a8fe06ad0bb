"""Observing a cluster: watches, their history, and the one wait."""
