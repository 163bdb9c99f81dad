"""Imported first by the server of the pool, and by no other process: from here on the server ends with the command."""

from bench.sweep.bound import die_with_parent

die_with_parent()
