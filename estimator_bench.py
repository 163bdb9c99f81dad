"""The script `estimator-bench`, also `python -m estimator_bench`: a door with a name that no other project has.

`bench` and `estimators` are names that a user's own project may have too, and Python takes what it finds first.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent


def hidden() -> str | None:
    """One sentence where `import bench` or `import estimators` finds another project's; None where it finds ours."""
    for name in ("bench", "estimators"):
        spec = find_spec(name)
        found = Path(spec.origin or "").resolve() if spec else None
        if found != HERE / name / "__init__.py":
            other = found.parent if found and found.name == "__init__.py" else found
            return (
                f"Python finds {other} where it looks for {name} of estimator-bench; "
                "rename that one, or run in a folder and with a PYTHONPATH that do not hold it."
            )
    return None


def main() -> int:
    """The command line. Exit status: of `bench.cli.main`; 2 where another project hides a package of the suite."""
    if sentence := hidden():
        print(sentence, file=sys.stderr)
        return 2
    from bench.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
