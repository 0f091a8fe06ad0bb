"""Building the images of a cluster from source, and resolving which images a run uses."""
