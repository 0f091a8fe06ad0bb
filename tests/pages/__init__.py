"""chain.html of runs of every kind, and its checks in a browser (`make pages`)."""
