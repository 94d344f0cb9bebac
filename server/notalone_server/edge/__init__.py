"""Clock, randomness, problems, limits, logs, signing, databases. Owns the world outside; refuses roles."""
