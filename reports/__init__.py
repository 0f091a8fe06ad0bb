"""Reports of runs, and the generated documents."""
