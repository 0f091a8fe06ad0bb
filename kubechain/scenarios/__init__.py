"""Scenarios: changes to a chain or a cluster that happen once and that several claims check."""
