"""Migrations of the trustee's database. Owns how its tables change; refuses to know their content."""
