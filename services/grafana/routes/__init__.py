"""The routes of the Grafana service."""
