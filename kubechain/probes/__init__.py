"""Requests to the workload: HTTP, UDP, from Pods, by kubectl, and under load."""
