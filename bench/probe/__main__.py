import sys

from bench.probe.command import main

if __name__ == "__main__":
    sys.exit(main())
