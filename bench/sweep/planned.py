"""Which runs the plans of a folder name, and by which command."""

from bench.sweep.plan import Plan, PlannedJob


def named(job: PlannedJob) -> set[str | None]:
    """The identity of a planned job's run; with device=auto there are two, one for each device it may run on."""
    return {job["run"], job.get("on_the_other_device", job["run"])}


def latest(plans: list[Plan]) -> dict[str, str]:
    """The latest command that has a run, by the run's identity; the plans are given the latest first."""
    found: dict[str, str] = {}
    for planned in reversed(plans):
        found |= {name: planned["command"] for job in planned["jobs"] for name in named(job) if name}
    return found
