"""Upgrades in which a path is lost on purpose, and what the run must say of it: `make upgrades`."""
