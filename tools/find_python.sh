#!/bin/sh
# Prints the first Python that is new enough and has venv, or says what to install.
for name in python3.14 python3.13 python3.12 python3.11 python3; do
    if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        command -v "$name"
        exit 0
    fi
done
echo "Interlace needs Python 3.11 or newer with venv; on Debian: apt install python3 python3-venv" >&2
exit 1
