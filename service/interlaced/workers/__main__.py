"""`python -m interlaced.workers` is one worker; only the supervisor starts it."""

import gc

if __name__ == "__main__":
    # What a boot makes stays; serving turns collections on again (`process.settled_memory`).
    gc.disable()
    from interlaced.workers.worker import main

    main()
