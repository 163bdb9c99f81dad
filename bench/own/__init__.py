"""Anyone's own model: looked at, measured, trained; and runs and sweeps from Python."""
