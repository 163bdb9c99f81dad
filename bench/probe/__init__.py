"""Every compatible estimator at one checkpoint of a reference trajectory: `python -m bench.probe`."""
