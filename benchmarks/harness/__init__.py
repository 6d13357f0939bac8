"""What every suite stands on: records, statistics, the machine and child processes."""
