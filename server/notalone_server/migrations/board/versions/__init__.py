"""Migrations of the board. Owns how its tables change; refuses to know what they mean."""
