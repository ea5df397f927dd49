"""Contract suites and fault wrappers for backends, sources and journals; shipped for third parties."""
