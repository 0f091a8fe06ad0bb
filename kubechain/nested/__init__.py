"""Running the suite in a process of its own."""
