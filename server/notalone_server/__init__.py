"""The three services. Owns moving the core's messages; refuses to know what they prove."""
