"""Frozen wire types, one module per step; each is validated when it is made."""
