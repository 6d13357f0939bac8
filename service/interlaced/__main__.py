"""`python -m interlaced` is the `interlace` command."""

from interlaced.cli.main import main

if __name__ == "__main__":
    main()
