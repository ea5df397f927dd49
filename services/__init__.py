"""The platform over HTTP: one folder per service."""
