import sys

from bench.check import main

if __name__ == "__main__":
    sys.exit(main())
