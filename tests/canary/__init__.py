"""Secrets of every form, planted wherever a run can meet one, and searched for in everything that it writes or prints."""
