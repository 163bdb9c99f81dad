"""Numbers that others published, beside ours: `python -m bench.published`."""
