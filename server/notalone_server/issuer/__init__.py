"""The issuer: one organisation's roll. Owns who is a member; refuses to know who files."""
