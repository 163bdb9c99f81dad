"""One run: from a resolved configuration to the tables of a run directory."""
