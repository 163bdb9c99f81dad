"""The same tuning budget for every estimator, chosen on the validation split: `python -m bench.tune`."""
