"""Evidence for claims that did not pass."""
