"""Run directories in, tables of the report out."""
