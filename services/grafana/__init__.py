"""The archive for Grafana: tables for its Infinity data source, and what its Prometheus data source asks for."""
