"""The cluster under test, existing or made by kind, and the programs and the container engine that kind needs."""
