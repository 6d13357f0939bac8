"""`python -m interlaced.workers` is one worker; only the supervisor starts it."""

from interlaced.workers.worker import main

if __name__ == "__main__":
    main()
