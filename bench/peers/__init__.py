"""The same data through this archive and its peers, in one run: `python -m bench.peers`."""
