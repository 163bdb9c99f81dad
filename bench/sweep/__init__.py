"""Many runs: plans, jobs, launchers, and what is said at the end."""
