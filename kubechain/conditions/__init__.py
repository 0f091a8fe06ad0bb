"""Conditions: named, pure checks of a state. A check returns a Result."""
