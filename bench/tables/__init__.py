"""The tables of a run: their columns, and how they reach the disk."""
