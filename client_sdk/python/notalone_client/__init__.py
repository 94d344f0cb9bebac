"""The Python client. Owns transport, pinned trust and local state; refuses to know any server's code."""
