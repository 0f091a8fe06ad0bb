"""Upgrades: routes sampled all the time, events, and the comparison of before and after."""
