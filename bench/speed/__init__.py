"""Speed against plain loops and against what the device can do: `python -m bench.speed`."""
