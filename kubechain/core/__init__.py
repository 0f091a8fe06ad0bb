"""What everything else stands on: errors, settings, processes, the build cache, progress, redaction."""
