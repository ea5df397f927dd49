"""Which samples are worth keeping: pure kernels over columns."""
