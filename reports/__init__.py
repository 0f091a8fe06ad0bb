"""How a run becomes something that people and programs read."""
