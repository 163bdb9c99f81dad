"""Which of the runs of a file are meant. The protocol stands in the file, so that a command can leave runs out, and say
where they are made and what of them is timed, and change nothing of what they compute."""

from collections.abc import Sequence

from bench.errors import BadInput
from bench.published.expected import Published

FREE = ("data.root", "data.path", "data.download", "output", "device", "engine", "threads", "evaluate.images")
FREE_GROUPS = ("hydra", "sweep.", "timing.")


def chosen(each: Published, form: str, overrides: Sequence[str]) -> tuple[Published, list[str]]:
    """The file with those of its runs that the overrides choose, and the overrides that are left for them.

    A key that the runs set, and `seed`, chooses: of a sweep the values that are named, and no sweep that lacks them.

    Raises:
        BadInput: nothing is left, or an override would change the protocol.
    """
    left: list[str] = []
    varied = {key for own in each.runs for key, _, _ in map(_parts, own)}
    for override in overrides:
        key, _, text = _parts(override)
        if key in FREE or key.startswith(FREE_GROUPS):
            left.append(override)
        elif key == "seed":
            every = (each.short if form == "short" else each.full).seeds
            seeds = tuple(number for number in every if _among(str(number), text))
            if not seeds:
                raise BadInput(f"{each.name} has no run of {override}; its seeds are {', '.join(map(str, every))}.")
            if form == "short":
                each = each._replace(short=each.short._replace(seeds=seeds))
            else:
                each = each._replace(full=each.full._replace(seeds=seeds))
        elif key in varied:
            found = tuple(run for own in each.runs if (run := _narrowed(own, key, text)))
            if not found:
                raise BadInput(f"{each.name} has no run of {override}; it has {', '.join(_values(each, key))}.")
            each = each._replace(runs=found)
        else:
            keys = ", ".join(sorted(varied | {"seed"}))
            raise BadInput(f"{override} would change the protocol of {each.name}; its runs are chosen by {keys}.")
    return each, left


def _narrowed(own: Sequence[str], key: str, text: str) -> tuple[str, ...]:
    """The sweep with those values of the key that are named; nothing where it has none of them."""
    kept, has = [], False
    for word in own:
        name, _, values = _parts(word)
        if name == key:
            same = [value for value in values.split(",") if _among(value, text)]
            word, has = f"{key}={','.join(same)}", bool(same)
        kept.append(word)
    return tuple(kept) if has else ()


def _parts(word: str) -> tuple[str, str, str]:
    return word.partition("=")


def _values(each: Published, key: str) -> list[str]:
    words = [_parts(word) for own in each.runs for word in own]
    return list(dict.fromkeys(value for name, _, values in words if name == key for value in values.split(",")))


def _among(value: str, text: str) -> bool:
    """Whether a value is one of those that an override names; 1e-3 is 0.001."""
    return any(value == named or _number(value) == _number(named) is not None for named in text.split(","))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
