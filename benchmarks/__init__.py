"""The benchmark suite: codecs, and the whole service beside a hand-written peer."""
