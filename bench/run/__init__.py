"""One run: from a resolved configuration to the tables of a run directory."""

from bench.called import also_called

also_called(__name__)
