"""Several processes that serve one port: who starts them, watches them, and speaks for them."""
