"""Locks of runs, and the removal of containers, namespaces, processes and folders of runs that died."""
