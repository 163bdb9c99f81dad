"""The first thing that the server of the pool imports, and nobody else: from here on it ends with the command."""

from bench.sweep.bound import die_with_parent

die_with_parent()
