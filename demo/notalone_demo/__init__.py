"""A running deployment in one process. Owns showing what every party sees; refuses to be production."""
