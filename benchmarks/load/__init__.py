"""What drives the servers, and the upstream behind them; all of it pinned apart from them."""
