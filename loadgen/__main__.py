"""The generator as a program: `python -m loadgen fleet|replay|bill|export|demo|bench`."""

import os
import sys

from loadgen.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, sys.stdout))
