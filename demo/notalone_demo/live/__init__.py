"""The main job over HTTP: real processes on loopback, driven by the Python SDK."""
