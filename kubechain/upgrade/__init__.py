"""Upgrades: routes sampled at fixed intervals, events, and the comparison of the cluster before and after."""
