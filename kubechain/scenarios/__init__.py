"""Scenarios that several claims look at."""
