"""What it costs to build, encode, decode, touch, check and transcode, library by library."""
