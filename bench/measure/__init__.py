"""What is measured at fixed parameters: gradient noise and bias, bounds, seconds. No state of a training moves."""

from bench.called import also_called

also_called(__name__)
