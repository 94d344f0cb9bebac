"""Migrations, one folder per service. Owns how stored tables change; refuses to know what they mean."""
