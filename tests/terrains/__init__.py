"""Terrains: healthy clusters that differ, each made on a kind cluster, and the suite run on it as on a stranger's."""
