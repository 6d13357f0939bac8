"""The typed fields of configuration: durations, rates, sizes, secrets."""
