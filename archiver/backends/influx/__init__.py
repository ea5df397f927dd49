"""A backend in InfluxDB 1.x, 2.x or 3.x: line protocol in, InfluxQL out."""

from archiver.backends.influx.backend import InfluxBackend
from archiver.backends.influx.options import InfluxOptions

__all__ = ["InfluxBackend", "InfluxOptions"]
