"""`python -m bench.probe [overrides]`: measure every compatible estimator at checkpoints of a reference trajectory.

The command takes the configuration of `python -m bench` and the group `probe`. The configured estimator trains the
reference trajectory as an ordinary run. Each estimator at each checkpoint has a run directory of its own beside the
trajectory's. So the same command resumes, an impossible pair is a row with its reason, and `python -m bench.report`
reads them all.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli import launch
from bench.terminal import to_its_end

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from bench.run.ending import Ending
    from bench.settings import Config
    from bench.sweep.job import Session


@to_its_end
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status, as `python -m bench` does."""
    from bench.sweep.summary import show_next, show_shared

    def show(session: "Session") -> None:
        show_shared([ending.directory for ending in session.endings if ending.directory])
        show_next(session.endings)

    return launch(list(sys.argv[1:] if argv is None else argv), "probe", task, show)


def task(cfg: "DictConfig") -> "list[Ending]":
    """One job: a reference trajectory, and all measurements at its checkpoints. Returns how each ended."""
    from bench.sweep.job import Job

    with Job(cfg) as this:
        for ending in probes(cfg, this.composed(), this.many):
            this.tell(ending)
    return this.endings


def probes(cfg: "DictConfig", composed: dict[str, Any], many: bool) -> "Iterator[Ending]":
    """Train the reference trajectory, then measure each estimator at each checkpoint. Yields how each ended.

    Args:
        cfg: the configuration as Hydra composed it; the other estimators are composed in the same way.
        composed: the same as plain values.
        many: whether this is one job of a sweep.

    Raises:
        BadInput: the configuration or a checkpoint cannot be used.
        JobFailed: the reference trajectory did not reach its end.
    """
    from bench.config.identity import flatten, identity
    from bench.config.prepare import check_keys, prepare
    from bench.config.rules import PROBE
    from bench.errors import BadInput
    from bench.probe.shared import SharedCheckpoint
    from bench.run.checkpoint import find, read_checkpoint
    from bench.run.ending import earlier, require_writable
    from bench.terminal import progress_bar

    settings = dict(flatten({"probe": composed.pop("probe", {})}))
    if isinstance(settings.get("probe.estimators"), str):
        settings["probe.estimators"] = [settings["probe.estimators"]]
    check_keys(settings, PROBE)
    for key in ("probe.estimators", "probe.at"):
        if not settings[key]:
            raise BadInput(f"{key} needs a list of one or more; got [].")
    config = prepare(composed)
    if config["replicas"] > 1:
        raise BadInput(
            f"bench.probe measures one seed at a time and not {config['replicas']} replicas; set replicas=1."
        )
    place = Path(config["output"]) / config["name"]
    require_writable(place)
    given, steps = settings["probe.checkpoint"], settings["probe.tuning_steps"]
    # All checkpoints are read before the first measurement, so that a bad one is refused at once.
    files = [] if given is None else find(Path(given))
    shared = [SharedCheckpoint(config, read_checkpoint(file), steps) for file in files]
    chosen, shown = estimators(cfg, settings["probe.estimators"]), not many and sys.stderr.isatty()
    if given is None:
        trajectory, files = _trajectory(config, place, settings["probe.at"], shown)
        yield trajectory
        shared = [SharedCheckpoint(config, read_checkpoint(file), steps) for file in files]
    for at in shared:
        alone = True  # no other process measures here, which would time what it has measured
        for i, (label, (name, node)) in enumerate(chosen.items(), 1):
            what = f"{label} at step {at.checkpoint.step} of {at.origin['trained_with']}"
            described = at.described(name, node)
            directory = place / identity(described)
            ending = found = earlier(described, directory, config["sweep"]["retry"], many=True)
            if ending is None or not ending.already:
                with progress_bar(f"{i}/{len(chosen)} {what}", steps, shown) as advance:
                    ending = at.probe(name, node, directory, advance)
            elif ending.status == "done":
                at.earlier[directory] = name, node
            alone = alone and ending.status != "running"
            yield ending._replace(label=what, former=found.former if found else "")
        if not alone:
            at.earlier.clear()
        at.time(settings["probe.batch_sizes"])


def estimators(cfg: "DictConfig", wanted: list[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """The option and the checked configuration of each estimator in `wanted`, by its label.

    An entry of `wanted` is an option or preset, `rloo`, perhaps with other hyper-parameters, `rloo k=8`. `["all"]`
    stands for every option and preset. Those without a default for some value are left out, with a line on standard
    error.
    """
    from hydra import compose
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    from bench.config import plugins
    from bench.errors import BadInput

    everything = wanted == ["all"]
    if everything:
        options = GlobalHydra.instance().config_loader().get_group_options("estimator")
        wanted = sorted(options, key=lambda name: (name not in plugins.registry(), name))  # a preset may equal a class
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for words in wanted:
        name, *hyper = words.split()
        composed = compose("config", [f"estimator={name}", *(f"estimator.{value}" for value in hyper)])
        group = OmegaConf.to_container(composed.estimator, resolve=False)
        whole: Any = OmegaConf.create(OmegaConf.to_container(cfg, resolve=False) | {"estimator": group})  # type: ignore
        try:
            node = plugins.complete(OmegaConf.to_container(whole.estimator, resolve=True))  # type: ignore[arg-type]
            plugins.build(node)
        except BadInput as error:
            if not everything:
                raise
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        if node not in [other for _, other in found.values()]:
            found[words] = name, node
    return found


def _trajectory(config: "Config", place: Path, at: list[float], shown: bool) -> "tuple[Ending, list[Path]]":
    """Train the reference trajectory, unless it exists with all its checkpoints. Returns its ending and their files."""
    from bench.config.identity import identity
    from bench.errors import BadInput
    from bench.run import attempt, single
    from bench.run.checkpoint import path_of
    from bench.run.ending import recorded, wanted
    from bench.sweep.job import JobFailed

    directory, what = place / identity(config), f"trajectory of {config['option']}"
    steps = sorted({round(fraction * config["train"]["steps"]) for fraction in at})
    files = [path_of(directory, step) for step in steps]
    ending = recorded(directory, config)
    again = ending.former if ending and wanted(ending, config["sweep"]["retry"]) else ""
    if ending and ending.status == "done" and not again and all(file.is_file() for file in files):
        if not attempt.worker(directory):
            attempt.tidy(directory)
        return ending._replace(label=what), files
    try:
        ending = single.run(config, directory, shown, steps)
    except BadInput:
        raise
    except ValueError as error:  # raised before the training starts, as by a missing file
        raise BadInput(str(error)) from error
    if ending.status != "done":
        raise JobFailed(f"The reference trajectory has no checkpoint to measure at: {ending.reason}")
    return ending._replace(label=what, former=again), files
