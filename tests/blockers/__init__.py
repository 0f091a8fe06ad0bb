"""What blocks an upgrade, one of each kind, and a harmless twin of each: `make blockers`."""
