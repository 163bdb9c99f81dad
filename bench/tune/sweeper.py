"""The sweeper of `python -m bench.tune`: the jobs of Hydra's basic one, each tried at every point."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from bench.errors import BadInput
from bench.run.ending import Ending
from bench.settings import Tuning
from bench.sweep.job import JobFailed
from bench.tables import store, tuning
from bench.tables.result import Result, result_of
from bench.tune import trials
from bench.tune.choose import Scored, better_half, choose, edges
from bench.tune.subjects import Subject, steps_of, subjects

Jobs = list[list[str]]


class Trial(NamedTuple):
    """A point of a subject, and for how much of the training it is tried."""

    subject: Subject
    number: int
    share: float

    def job(self, seed: int) -> list[str]:
        """The overrides of its run."""
        subject = self.subject
        steps = [] if self.share == 1 else [f"train.steps={steps_of(self.share, subject.steps)}"]
        point = [f"{key}={value!r}" for key, value in subject.points[self.number].items()]
        return [*subject.overrides, *point, *steps, f"seed={seed}"]


class TuningSweeper(Sweeper):
    """Tries every job that the command asks for at every point, chooses, and runs what was chosen with fresh seeds.

    Args:
        settings: budget and tune.
        file: name of the table, beside the runs.
        params: of `hydra.sweeper`, as an experiment has them.
        max_batch_size: of Hydra's; not used, since the stages are the batches.
    """

    def __init__(self, settings: Any, file: str, params: Any = None, max_batch_size: int | None = None):
        self.params: dict[str, Any] = dict(params or {})
        self.settings: Tuning = OmegaConf.to_container(settings)  # type: ignore[assignment]
        self.file, self.started = file, 0

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives, and make the launcher."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Every stage of `tune.halving`, then the fresh seeds. Raises BadInput where something cannot be tuned."""
        assert self.config is not None
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        own = [f"{key}={value}" for key, value in self.params.items()]
        jobs = jobs_of(parser.parse_overrides([*own, *arguments]))
        found = subjects(self.hydra_context.config_loader, self.config, jobs, self.settings)
        place = Path(str(self.config.output)) / str(self.config.name)
        split, rows = self.settings["tune"]["split"], list[trials.Row]()
        alive = {subject: list(range(len(subject.points))) for subject in found}
        tried: dict[Subject, list[Scored]] = {subject: [] for subject in found}
        for share in (*self.settings["tune"]["halving"], 1.0):
            at = [Trial(subject, number, share) for subject, numbers in alive.items() for number in numbers]
            results = self._run([(trial, seed) for trial in at for seed in trial.subject.seeds], split)
            for subject in found:
                scored = [
                    Scored(t.number, subject.points[t.number], [results[t, seed] for seed in subject.seeds])
                    for t in at
                    if t.subject is subject
                ]
                rows += trials.rows(subject, scored, subject.seeds, share, split)
                if share < 1:
                    scored = better_half(scored)
                alive[subject], tried[subject] = [point.number for point in scored], scored
            if not (place / self.file).exists():  # that of an earlier attempt counts until this one is at its end
                tuning.write(place / self.file, rows)
        self._again(found, tried, rows, place)

    def _again(
        self, found: list[Subject], tried: dict[Subject, list[Scored]], rows: "list[trials.Row]", place: Path
    ) -> None:
        """Run the chosen points with fresh seeds, and complete the table."""
        split, chosen = self.settings["tune"]["split"], {subject: choose(tried[subject]) for subject in found}
        fresh = {subject: fresh_seeds(subject.seeds, self.settings["tune"]["fresh"]) for subject in found}
        picked = {subject: point for subject, point in chosen.items() if point is not None}
        results = self._run(
            [(Trial(s, point.number, 1.0), seed) for s, point in picked.items() for seed in fresh[s]], split
        )
        for subject, point in chosen.items():
            edge = edges(point, [Scored(n, v, []) for n, v in enumerate(subject.points)]) if point else ""
            trials.mark(rows, subject, None if point is None else point.number, edge)
        for subject, point in picked.items():
            again = point._replace(
                results=[results[Trial(subject, point.number, 1.0), seed] for seed in fresh[subject]]
            )
            rows += trials.rows(subject, [again], fresh[subject], 1.0, split, role="fresh")
        tuning.write(place / self.file, rows)

    def _run(self, asked: Sequence[tuple[Trial, int]], split: str) -> dict[tuple[Trial, int], Result]:
        """What the runs of these trials and seeds say; those that are there already are not made again."""
        assert self.launcher is not None
        jobs = [trial.job(seed) for trial, seed in asked]
        if not jobs:
            return {}
        self.validate_batch_is_legal(jobs)
        returned = self.launcher.launch(jobs, initial_job_idx=self.started)
        self.started += len(jobs)
        endings = {tuple(one.overrides or ()): ending for one in returned for ending in _endings(one)}
        return {key: _result(endings.get(tuple(job)), split) for key, job in zip(asked, jobs, strict=True)}


def jobs_of(overrides: Sequence[Override]) -> Jobs:
    """Every combination of the values that the overrides have, in their order; of two of one key the later counts."""
    values: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if override.is_sweep_override() and not override.is_discrete_sweep():
            raise BadInput(f"{override.input_line} is no list of values, which bench.tune needs of what is swept.")
        sweep = override.is_sweep_override()
        given = override.sweep_string_iterator() if sweep else [override.get_value_element_as_str()]
        values[key] = [f"{key}={value}" for value in given]
    return [list(job) for job in product(*values.values())]


def fresh_seeds(seeds: Sequence[int], count: int) -> list[int]:
    """As many seeds that no point was tried with."""
    return [max(seeds) + 1 + i for i in range(count)]


def _endings(returned: Any) -> Iterator[Ending]:
    try:
        yield from returned.return_value
    except JobFailed as error:  # in a process of a launcher
        yield from error.endings


def _result(ending: Ending | None, split: str) -> Result:
    """What a run says that ended like this. Raises BadInput where another process still works on it."""
    if ending is None or ending.directory is None:
        return Result(status=ending.status if ending else "failed")
    if ending.status == "running":
        raise BadInput(f"{ending.directory} is not done, and all points are needed to choose one: {ending.reason}")
    try:
        return result_of(ending.directory, split)
    except store.SchemaError as error:
        raise BadInput(str(error)) from error
