"""The pytest plugin: collection, gating, scheduling, outcomes and records of claims."""
