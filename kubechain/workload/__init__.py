"""The workload under test: its manifests, the chain, and what is done to it."""
