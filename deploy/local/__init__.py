"""Everything on one machine, with no container: what `make setup` and `make run` call."""
