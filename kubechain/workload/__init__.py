"""The workload under test: its manifests, the chain that they make, its sources of conditions, and changes to it."""
