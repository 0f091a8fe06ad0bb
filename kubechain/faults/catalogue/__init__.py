"""Every fault and harmless change, by kind."""
