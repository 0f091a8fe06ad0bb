"""What the observer of a run costs (`make overhead`)."""
