"""The `interlace` command, one file per group of verbs."""

import os

# gRPC's core writes lines of its own to stderr; every failure that they tell of is told by us. It
# reads the setting once, when it is first imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
