"""The protocol core of NotAlone: bytes and state in, bytes and state out.

Owns every cryptographic decision of the system. Refuses to know: files,
sockets, clocks, sources of randomness, logging, frameworks. Randomness and
time are arguments of the functions that need them.
"""
