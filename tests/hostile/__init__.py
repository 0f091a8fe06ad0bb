"""A Kubernetes cluster on loopback that misbehaves as a record says, and whole runs of the command against it."""
