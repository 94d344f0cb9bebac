"""The issuer's migrations, forward only."""
