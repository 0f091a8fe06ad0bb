"""What finished runs say together: comparison, history and quality gate."""
