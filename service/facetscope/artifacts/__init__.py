"""Bytes by their SHA-256: models and image sets, in a local folder."""
