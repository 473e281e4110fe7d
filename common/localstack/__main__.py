"""Entry point of `python -m common.localstack`."""

import os
import sys
from pathlib import Path

from common.localstack.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, root=Path(__file__).resolve().parents[2]))
