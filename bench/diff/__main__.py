import sys

from bench.diff.command import main

if __name__ == "__main__":
    sys.exit(main())
