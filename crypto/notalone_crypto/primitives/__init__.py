"""Cryptographic building blocks, one small module each; none knows the protocol."""
