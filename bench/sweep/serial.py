"""`hydra/launcher=basic`: one job after the other in this process, as Hydra's own launcher of that name does them."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.utils import JobReturn

from bench.sweep import already, job

PLACE = "hydra_plugins.estimator_bench"  # Hydra instantiates plugins of the package `hydra_plugins` alone


@dataclass
class SerialConf:
    """The group `hydra.launcher` of `basic`."""

    _target_: str = f"{PLACE}.Serial"


class Serial(BasicLauncher):
    """Hydra's launcher, which starts nothing for what is there and keeps no job's configuration."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Do all jobs."""
        assert self.hydra_context
        session = job.current()
        session.many = True
        returned = []
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            endings = already.endings(session, self.hydra_context, overrides)
            if endings is None:
                [done] = super().launch([overrides], number)
                done.cfg = done.hydra_cfg = None
            else:
                session.endings += endings
                for ending in endings:
                    session.tell(number + 1, ending)
                done = already.returned(overrides, endings)
            returned.append(done)
        return returned
