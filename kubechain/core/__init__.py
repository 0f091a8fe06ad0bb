"""Errors, settings, processes, the build cache, progress, redaction: used by all other packages."""
