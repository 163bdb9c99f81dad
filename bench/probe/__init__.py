"""Measurement of every compatible estimator at shared checkpoints of one training: `python -m bench.probe`."""
