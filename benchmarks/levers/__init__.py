"""What each lever of the hot path brings: Interlace beside itself with one of them off."""
