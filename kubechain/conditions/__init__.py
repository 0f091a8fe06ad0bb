"""Conditions: pure functions from an observed state to whether it is as it must be."""
