"""Changes of a cluster that are not upgrades, and whether `kubechain during` calls each of them go: `make changes`."""
