"""Mutants of Kubernetes: functions that do something wrong while a file is on the nodes."""
