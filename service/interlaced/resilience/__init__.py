"""The policies, and the one file that says in which order they stand."""
