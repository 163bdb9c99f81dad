"""The columns of every table, in one place. `python -m bench.tables.columns` prints `docs/columns.md`."""

from functools import cache
from typing import NamedTuple

import pyarrow as pa

from bench.tables import meanings

SCHEMA = 5  # raise whenever a column changes its name, type or meaning
STATUSES = ("done", "failed", "diverged", "skipped")
LATER = {  # columns that runs of this schema lack which were made before them
    "runs": ("code", "distribution"),
    "objective": ("quantisation_error",),
    "choices": ("quantisation_error",),
    "gradient": ("bias_sq_scaled", "bias_sq_scaled_se", "variance_scaled", "variance_scaled_se", "snr_parameters"),
}
OF_SOME = ("choices",)  # tables that a run without a row for them does not have, nor a report of before there were any
OWN_TRAINING = "own"  # trained_with, where the gradient was measured along the run's own training

TEXT, INT, FLOAT, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()


class Column(NamedTuple):
    """A column: its type, its meaning with unit in one line, whether every row has it, the only values it may take."""

    type: pa.DataType
    description: str
    required: bool = False
    choices: tuple[str, ...] = ()


RUN = Column(TEXT, "hash of the resolved config: the identity of the run", True)
SEED = Column(INT, "the run's seed", True)
STEP = Column(INT, "training steps taken when this was measured", True)
DEVICE = {
    "device": Column(TEXT, "cpu or cuda"),
    "device_name": Column(TEXT, "name of the processor or of the GPU"),
    "threads": Column(INT, "CPU threads the run was allowed"),
}
TABLES: dict[str, dict[str, Column]] = {
    "runs": {
        "run": RUN,
        "name": Column(TEXT, "name of the sweep it belongs to"),
        "status": Column(TEXT, "how it ended", True, STATUSES),
        "reason": Column(TEXT, "one sentence, where status is not done"),
        "estimator": Column(TEXT, "name of the estimator option", True),
        "family": Column(TEXT, "latent family", True),
        "unbiased": Column(BOOL, "whether the estimator claims to be unbiased"),
        "objective": Column(TEXT, "what the estimator optimises", True, ("elbo", "iwae")),
        "seed": SEED,
        "step": Column(INT, "last training step reached"),
        **DEVICE,
        "precision": Column(TEXT, "of float32 products on a GPU: highest or tf32"),
        "deterministic": Column(BOOL, "whether only deterministic algorithms ran"),
        "cuda": Column(TEXT, "version of CUDA that PyTorch was made with; null on the CPU, as the next five"),
        "cudnn": Column(INT, "version of cuDNN"),
        "driver": Column(TEXT, "version of the driver, and below what else it says, where nvidia-ml-py is installed"),
        "power_limit": Column(FLOAT, "of the GPU (W)"),
        "sm_clock_max": Column(INT, "highest clock of its multiprocessors (MHz)"),
        "memory_clock_max": Column(INT, "highest clock of its memory (MHz)"),
        "torch": Column(TEXT, "version of PyTorch"),
        "python": Column(TEXT, "version of Python"),
        "suite": Column(TEXT, "version of this suite"),
        "schema": Column(INT, "version of these tables", True),
        "commit": Column(TEXT, "git commit, with + where the tree was changed"),
        "code": Column(TEXT, "digest of the sources that the numbers depend on, their comments and layout apart"),
        "distribution": Column(TEXT, "name and version of the package that the estimator comes from; null: none"),
        "started": Column(TEXT, "start, UTC, ISO 8601"),
        "seconds": Column(FLOAT, "wall-clock time of the whole run (s)"),
        "command": Column(TEXT, "the command line that repeats it"),
        "config": Column(TEXT, "the whole resolved config, as JSON", True),
    },
    "objective": {
        "run": RUN,
        "seed": SEED,
        "step": STEP,
        "seconds": Column(FLOAT, "training time until then, evaluating and measuring excluded (s)"),
        "split": Column(TEXT, "train, validation or test, each where the data have it", True),
        "examples": Column(INT, "examples evaluated"),
        "elbo": Column(FLOAT, "evidence lower bound with true samples, mean over examples (nats)"),
        "elbo_se": Column(FLOAT, "its standard error over examples (nats)"),
        "reconstruction": Column(FLOAT, "E log p(x|z), mean over examples (nats)"),
        "kl": Column(FLOAT, "KL(q||p), mean over examples (nats)"),
        "iwae": Column(FLOAT, "importance-weighted bound with `samples` samples, mean over examples (nats)"),
        "iwae_se": Column(FLOAT, "its standard error over examples (nats)"),
        "samples": Column(INT, "K of iwae, the same whatever K the training uses"),
        "log_prior_sampling": Column(FLOAT, "estimate of log p(x) from prior samples, mean over examples (nats)"),
        "log_prior_sampling_se": Column(FLOAT, "its standard error over examples (nats)"),
        "prior_samples": Column(INT, "number of those prior samples"),
        "bits_per_dim": Column(
            FLOAT, "-elbo / (pixels log 2); with data.dequantise plus log2 of the levels, as docs/data.md says (bits)"
        ),
        "active_units": Column(INT, "latent units whose posterior mean varies by more than 0.01 over the examples"),
        "perplexity": Column(
            FLOAT, "exp of the entropy of the marginal distribution of codes (mean of several stages), or of experts"
        ),
        "usage": Column(FLOAT, "fraction of the codes (mean of several stages), or experts, that are used at all"),
        "quantisation_error": Column(
            FLOAT,
            "squared distance of the encoder's vectors from their codes, mean over examples, positions, coordinates",
        ),
    },
    "gradient": {
        "run": RUN,
        "seed": SEED,
        "step": STEP,
        "estimator": Column(TEXT, "name of the estimator measured", True),
        "trained_with": Column(
            TEXT,
            "what trained these parameters: own (this run's own training), or the estimator of a shared checkpoint",
        ),
        "part": Column(TEXT, "the coordinates: latent, encoder, decoder, or the name of a layer", True),
        "batches": Column(INT, "M, probe batches"),
        "draws": Column(INT, "R, gradient draws taken per probe batch; 1 where the gradient has no noise"),
        **{
            column: Column(FLOAT, description)
            for name, meaning in (meanings.MOMENTS | meanings.OF_ALL_DATA).items()
            for column, description in ((name, meaning), (f"{name}_se", f"standard error of {name}"))
        },
        "variance_exact": Column(
            FLOAT, "what variance_noise estimates, in closed form or by enumeration or quadrature, where known (nats^2)"
        ),
        "kurtosis": Column(FLOAT, meanings.KURTOSIS),
        "note": Column(TEXT, "one sentence, where the draws were too few for measure.precision"),
        "reference": Column(TEXT, "exact, quadrature, or the name of the unbiased estimator that was drawn"),
        "reference_draws": Column(INT, "draws of the reference per probe batch; 0 where nothing was drawn"),
        "reference_error_sq": Column(FLOAT, meanings.REFERENCE_ERROR_SQ),
        "reference_norm_sq": Column(FLOAT, "squared norm of the reference, less its noise (nats^2)"),
        **{
            name: Column(FLOAT, f"{meaning}; of the parts encoder and decoder, with measure.papers")
            for name, meaning in (meanings.MOVING_AVERAGES | {"snr_parameters": meanings.SNR_PARAMETERS}).items()
        },
    },
    "cost": {
        "run": RUN,
        "estimator": Column(TEXT, "name of the estimator timed"),
        "what": Column(
            TEXT,
            "what was timed: a training step, a gradient, or the gradient of a batch of another size, by engine eager",
            True,
            ("step", "gradient", "scaling"),
        ),
        "engine": Column(TEXT, "how it was executed: eager, compile, graph or compiled_graph"),
        **DEVICE,
        "batch_size": Column(INT, "examples of the batch"),
        "seconds": Column(FLOAT, "of a call: median over blocks of calls, timed in turn with other work (s)"),
        "seconds_se": Column(FLOAT, "its standard error, the dependence of one block on those before included (s)"),
        "seconds_q1": Column(FLOAT, "first quartile over blocks (s)"),
        "seconds_q3": Column(FLOAT, "third quartile over blocks (s)"),
        "seconds_device": Column(FLOAT, "of a call: the time of its kernels and copies; null where none is seen (s)"),
        "overhead": Column(FLOAT, "1 - seconds_device / seconds: the share of the time in which the GPU waits"),
        "launches": Column(FLOAT, "kernels and copies of a call; null where none is seen"),
        "seconds_compile": Column(
            FLOAT, "compiling, or capturing, with the first calls; less where compiled code was on the disk (s)"
        ),
        "repetitions": Column(INT, "timed blocks"),
        "calls": Column(INT, "calls of a block"),
        "interleaved": Column(INT, "pieces of work that were timed in turn, this one included"),
        "valid": Column(
            BOOL,
            "whether nothing disturbed the timing: threads x jobs at once <= cores, a GPU had one job and was not "
            "throttled, cpu_share >= 0.95, preempted <= 25 x threads, and other processes left the cores that the "
            "threads need",
        ),
        "cpu_share": Column(FLOAT, "CPU time of the timing thread, or of the process on a GPU, over wall-clock time"),
        "preempted": Column(FLOAT, "how often the process, with all its threads, had to give up a core (1/s)"),
        "load_before": Column(FLOAT, "cores that other processes kept busy just before; null where not known"),
        "load": Column(FLOAT, "the same while it was timed"),
        "load_after": Column(FLOAT, "the same just after"),
        "throttled": Column(BOOL, "whether the GPU lowered its clock for power or heat; null where not known"),
        "temperature_before": Column(INT, "of the GPU before (degrees Celsius)"),
        "temperature_after": Column(INT, "and after"),
        "sm_clock_before": Column(INT, "clock of the GPU's multiprocessors before (MHz)"),
        "sm_clock_after": Column(INT, "and after"),
        "evaluations_forward": Column(FLOAT, "evaluations of the cost per example and gradient"),
        "evaluations_backward": Column(FLOAT, "evaluations of the cost that are differentiated with respect to z"),
        "peak_memory": Column(INT, "peak memory (bytes); not known of graphs"),
    },
    "choices": {
        "run": RUN,
        "seed": SEED,
        "step": STEP,
        "split": Column(TEXT, "train, validation or test", True),
        "part": Column(TEXT, "stage.s, of residual quantisation along the nearest codes, or expert.e", True),
        "perplexity": Column(FLOAT, "of a stage: exp of the entropy of its marginal code distribution"),
        "usage": Column(FLOAT, "of a stage: fraction of its codes that are used at all"),
        "load": Column(FLOAT, "of an expert: fraction of the examples whose most probable expert it is"),
        "probability": Column(FLOAT, "of an expert: mean over examples; its entropy: log perplexity of objective"),
        "quantisation_error": Column(FLOAT, "of a stage: quantisation_error of objective with the stages up to it"),
    },
}


@cache
def arrow_schema(table: str) -> pa.Schema:
    """The pyarrow schema of one of `TABLES`, its version in the metadata."""
    fields = [pa.field(name, column.type, not column.required) for name, column in TABLES[table].items()]
    return pa.schema(fields, {"table": table, "schema": str(SCHEMA)})
