"""Build the images of a cluster from source, and choose the images of a run."""
