"""The durable queue between intake and lanes."""
