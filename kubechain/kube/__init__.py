"""The Kubernetes API: the client, its errors, paths and objects."""
