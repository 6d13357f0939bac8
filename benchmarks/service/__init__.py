"""The whole service beside its hand-written peer: scenarios, windows in turn, and the run."""
