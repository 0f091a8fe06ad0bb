"""Run the suite in another process."""
