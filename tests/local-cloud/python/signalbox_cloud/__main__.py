"""`python -m signalbox_cloud --state-dir DIR`: start the local cloud, print where it serves, stay until stdin ends."""

import argparse
import sys
from pathlib import Path

from . import server


def main() -> None:
    parser = argparse.ArgumentParser(prog="signalbox_cloud", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="folder for cloud.log and temporary files")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any free one)")
    parser.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    parser.add_argument("--idle-workers", type=int, default=64, help="most processes of functions kept warm")
    parser.add_argument(
        "--schedules", action="store_true", help="run scheduled rules (default: they are deployed only)"
    )
    arguments = parser.parse_args()
    sys.exit(server.run(**vars(arguments)))


if __name__ == "__main__":
    main()
