import sys

from bench.tune.command import main

if __name__ == "__main__":
    sys.exit(main())
