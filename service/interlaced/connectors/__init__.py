"""One folder per connector kind, the same five files in each."""
