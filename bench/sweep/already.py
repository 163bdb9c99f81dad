"""Jobs of a sweep whose runs are there: the launchers of this machine tell how they ended, and start nothing."""

from collections.abc import Sequence

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext

from bench.errors import BadInput
from bench.run.ending import Ending, earlier
from bench.sweep.job import Endings, Session, changed
from bench.sweep.mirrors import Mirror


def endings(session: Session, context: HydraContext, overrides: Sequence[str]) -> list[Ending] | None:
    """How all runs of a job ended earlier, or that another process works on them. None where there is more to do or to
    refuse, where the sweep is to stop, or where a callback wants to hear of every job."""
    planned = session.planned.get(tuple(overrides))
    if planned is None or not all(isinstance(callback, Mirror) for callback in context.callbacks.callbacks):
        return None
    if planned.sweep["fail_fast"] and session.failed():
        return None
    found: list[Ending] = []
    for number, run in enumerate(planned.runs):
        try:
            ending = earlier(planned.config(), planned.folder / run, planned.sweep["retry"], many=True)
        except (BadInput, OSError):
            return None
        if ending is None or not ending.already:
            return None
        label = [*changed(overrides), *([f"seed={planned.seed + number}"] if len(planned.runs) > 1 else [])]
        found.append(ending._replace(label=" ".join(label)))
    return found


def returned(overrides: Sequence[str], endings: list[Ending]) -> JobReturn:
    """What Hydra is given of a job that ended like that."""
    ended = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
    ended.return_value = Endings(endings)
    return ended
