"""Many runs: plans, jobs, launchers, and what is said at the end."""

from bench.called import also_called

also_called(__name__)
