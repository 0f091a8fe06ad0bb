"""Claims: their metadata, what they require of a cluster, their records and the verdict."""
