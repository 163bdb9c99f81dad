"""Run directories in; one set of tables, a comparison and figures out. Reads tables only: no torch, no Hydra."""
