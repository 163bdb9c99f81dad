import sys

from bench.published.command import main

if __name__ == "__main__":
    sys.exit(main())
