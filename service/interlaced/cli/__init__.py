"""The `interlace` command, one file per group of verbs."""
