"""The columns of the tables that a report adds, and the page of all columns.

`python -m bench.tables.columns` prints `docs/columns.md`.
"""

from bench.tables.schema import BOOL, FLOAT, INT, STATUSES, TABLES, TEXT, Column


def _bounded(name: str, meaning: str, interval: str = "95 % Student-t interval") -> dict[str, Column]:
    return {
        name: Column(FLOAT, meaning),
        f"{name}_low": Column(FLOAT, f"lower end of the {interval} of {name} over seeds"),
        f"{name}_high": Column(FLOAT, f"upper end of the {interval} of {name} over seeds"),
        f"{name}_n": Column(INT, f"runs with a {name}, over which this is"),
    }


WITH_TIME = "95 % interval, the error of the time included,"
COMPARISON: dict[str, Column] = {
    "family": Column(TEXT, "latent family"),
    "objective": Column(TEXT, "what the estimator optimises: elbo or iwae"),
    "setting": Column(TEXT, "the problem, where the collection holds several: data, latent, model, objective"),
    "trained_with": Column(TEXT, "own, or the estimator that trained the shared checkpoint"),
    "checkpoint": Column(INT, "training steps of the shared checkpoint; null along own trajectories"),
    "label": Column(TEXT, "estimator and the hyper-parameters that tell its configurations apart"),
    "estimator": Column(TEXT, "name of the estimator option"),
    "unbiased": Column(BOOL, "whether the estimator claims to be unbiased"),
    **{status: Column(INT, f"runs that ended as {status}") for status in STATUSES},
    "seeds": Column(INT, "runs that are done; each mean below is over those with such a value, `*_n` of them"),
    "tuned": Column(BOOL, "whether these are runs, on fresh seeds, of the point that bench.tune chose"),
    "codes": Column(INT, "versions of the code that made these runs; those of before it was recorded count as one"),
    **_bounded("elbo_train", "ELBO at the last step, training split (nats)"),
    **_bounded("elbo_test", "ELBO at the last step, test split (nats)"),
    **_bounded("iwae_test", "importance-weighted bound at the last step, test split (nats)"),
    **_bounded("variance_noise_encoder", "variance_noise at the last step, encoder; geometric mean (nats^2)"),
    **_bounded("variance_noise_latent", "variance_noise at the last step, latent; geometric mean (nats^2)"),
    **_bounded("bias_sq", "bias_sq at the last step, encoder; noise may make it negative (nats^2)"),
    **_bounded("norm_sq", "norm_sq at the last step, encoder (nats^2)"),
    **_bounded("relative_bias_sq", "relative squared bias: bias_sq / reference_norm_sq at the last step, encoder"),
    "engine": Column(TEXT, "the engine whose times these are: eager, or else the alphabetically first"),
    **_bounded("seconds_step", "valid time of a training step, median over runs (s)", WITH_TIME),
    **_bounded("seconds_gradient", "valid time of a gradient, median over runs (s)", WITH_TIME),
    "evaluations": Column(FLOAT, "forward evaluations of the cost per example and gradient"),
    "evaluations_backward": Column(FLOAT, "of which differentiated with respect to z"),
    **_bounded("variance_x_evaluations", "variance_noise_encoder x evaluations (nats^2)"),
    **_bounded("variance_x_seconds", "variance_noise_encoder x seconds_gradient (nats^2 s)", WITH_TIME),
    "level": Column(
        FLOAT,
        "a bound, the same for the panel: the baseline's at the last step, mean over seeds, less 0.5; of the median "
        "configuration where the panel has no baseline (nats)",
    ),
    "level_split": Column(TEXT, "the split of that bound: validation where there is one, else test, else train"),
    "passed": Column(INT, "of the runs that are done, failed or diverged those whose bound passed the level"),
    "seconds_to_level": Column(
        FLOAT,
        "training time until a bound is first at the level, linear between evaluations; median over those runs, each "
        "that did not pass counted as later than all that did, so null where half of them or more did not (s)",
    ),
    "evaluations_to_level": Column(FLOAT, "the same in forward evaluations of the cost per example of a batch"),
}


QUANTITIES = {
    "variance_noise": "variance_noise at the last step, encoder",
    "variance_x_evaluations": "variance_noise x evaluations of the cost",
    "variance_x_seconds": "variance_noise x seconds of a gradient",
}


def _columns(name: str, meaning: str) -> dict[str, Column]:
    return {
        f"{name}_ratio": Column(FLOAT, f"{meaning}: A over B, geometric mean over seeds"),
        f"{name}_low": Column(
            FLOAT, f"lower end of the 95 % interval of {name}_ratio: Student's t on paired logs, of this pair alone"
        ),
        f"{name}_high": Column(FLOAT, f"upper end of the 95 % interval of {name}_ratio"),
        f"{name}_probability": Column(FLOAT, f"probability that A has the lower {name}, from Student's t posterior"),
        f"{name}_seeds": Column(INT, f"seeds in which both have a positive {name}"),
        f"{name}_separated": Column(
            BOOL,
            "whether the two differ with 95 % confidence for all pairs of the panel at once (Tukey's studentised "
            "range); null with fewer than 3 seeds",
        ),
    }


PAIRS: dict[str, Column] = {
    "family": Column(TEXT, "latent family"),
    "objective": Column(TEXT, "what both optimise: elbo or iwae"),
    "setting": Column(TEXT, "the problem, where the collection holds several: data, latent, model, objective"),
    "trained_with": Column(TEXT, "own, or the estimator that trained the checkpoint of a probe"),
    "checkpoint": Column(INT, "training steps of the shared checkpoint; null along own trajectories"),
    "A": Column(TEXT, "label of one estimator, as in the comparison"),
    "B": Column(TEXT, "label of the other, later in the alphabet"),
    **{column: spec for name, meaning in QUANTITIES.items() for column, spec in _columns(name, meaning).items()},
}


RANKS: dict[str, Column] = {
    "trained_with": Column(TEXT, "own: along own trajectories; shared: at shared checkpoints"),
    "quantity": Column(TEXT, "variance_x_evaluations, variance_x_seconds, or bound: the last one, of the test split"),
    "label": Column(TEXT, "label of the estimator, as in the comparison"),
    "baseline": Column(TEXT, "label of the one that it is compared with: rloo, or what --baseline names"),
    "problems": Column(INT, "problems, which are panels of the report, that have both"),
    "value": Column(FLOAT, "ratio to the baseline, geometric mean over problems; of the bound the difference (nats)"),
    "low": Column(FLOAT, "lower end of its 95 % interval: Student's t over problems, over seeds where there is one"),
    "high": Column(FLOAT, "upper end of that interval"),
    "probability": Column(
        FLOAT, "probability of being better than the baseline on a new problem; null for one problem"
    ),
    "p": Column(FLOAT, "p-value of the verdict, after Holm over the estimators of a quantity"),
    "verdict": Column(
        TEXT,
        "better or worse than the baseline by more than 10 % (of the bound 0.5 nat), equal within that, or undecided",
    ),
}


TUNING: dict[str, Column] = {
    "run": Column(TEXT, "the run; null where none could start"),
    "subject": Column(TEXT, "what has a budget of its own: the estimator, and what else the command varies", True),
    "estimator": Column(TEXT, "name of the estimator option", True),
    "role": Column(TEXT, "a point of the list, or the chosen one with a fresh seed", True, ("point", "fresh")),
    "point": Column(INT, "number of the point in the list, from 0 on; points that came out equal are one", True),
    "share": Column(FLOAT, "fraction of the training that the run was given: tune.halving", True),
    "values": Column(TEXT, "the point, as overrides of a run", True),
    "lr": Column(FLOAT, "of them train.lr"),
    "temperature": Column(FLOAT, "estimator.temperature; null: it is not varied"),
    "k": Column(FLOAT, "estimator.k; null: it is not varied"),
    "scale": Column(FLOAT, "estimator.scale; null: it is not varied"),
    "seed": Column(INT, "the run's seed", True),
    "status": Column(TEXT, "how it ended", True, STATUSES),
    "split": Column(TEXT, "the split that decides: tune.split", True, ("validation", "train")),
    "bound": Column(FLOAT, "the bound that the estimator optimises, of that split at the last step (nats)"),
    "bound_se": Column(FLOAT, "its standard error over examples (nats)"),
    "spread": Column(FLOAT, "variance of that bound over the last 3 evaluations (nats^2)"),
    "bound_test": Column(FLOAT, "the same bound of the test split, which decides nothing (nats)"),
    "seconds": Column(FLOAT, "wall-clock time of the run (s)"),
    "chosen": Column(BOOL, "whether this point was chosen; null while none is"),
    "edge": Column(TEXT, "of a chosen point the keys of which nothing beyond its value was tried: lr high"),
}


OF_REPORT = {"comparison": COMPARISON, "pairs": PAIRS, "ranks": RANKS, "tuning": TUNING}


def markdown(tables: dict[str, dict[str, Column]]) -> str:
    """A Markdown section for each table."""
    lines = []
    for table, columns in tables.items():
        lines += [f"\n## {table}\n", "| column | type | meaning |", "|---|---|---|"]
        for name, column in columns.items():
            choices = f": {', '.join(column.choices)}" if column.choices else ""
            optional = "" if column.required else ", may be null"
            meaning = (column.description + choices).replace("|", "\\|")
            lines.append(f"| `{name}` | {column.type}{optional} | {meaning} |")
    return "\n".join(lines) + "\n"


def document() -> str:
    """The text of `docs/columns.md`."""
    title = "# Columns of the tables\n\nGenerated by `make docs`; do not edit.\n"
    return title + markdown(TABLES | OF_REPORT)


if __name__ == "__main__":
    print(document(), end="")
