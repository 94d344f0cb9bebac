"""Clock, randomness, problem details, limits, redaction, signing. Owns the world outside; refuses roles."""
