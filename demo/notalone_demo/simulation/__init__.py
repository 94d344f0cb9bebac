"""A whole deployment in one process, behind the ports the real services use."""
