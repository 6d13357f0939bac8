"""The peer: what a good engineer would write by hand for the same jobs, and no more than that."""
