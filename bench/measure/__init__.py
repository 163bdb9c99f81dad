"""Measurements at fixed parameters: gradient noise and bias, bounds, seconds. They never change a training's state."""

from bench.called import also_called

also_called(__name__)
