"""How fast minnet is beside other libraries, on the same work: `python -m bench.peers`."""
