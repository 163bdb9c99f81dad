"""What is measured at fixed parameters: gradient noise and bias, bounds, seconds. No state of a training moves."""
