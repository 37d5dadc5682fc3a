"""Makes seeds for the fuzz targets of recorded histories and events: SIGNALBOX_CORPUS=… python3 fuzz/seeds.py"""

import json
import os
from pathlib import Path

recorded = Path(os.environ["SIGNALBOX_CORPUS"])
seeds = Path(__file__).parent / "corpus"


def write(target: str, name: str, kind: int, text: str) -> None:
    """The first byte says what the rest is; see the targets."""
    folder = seeds / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(bytes([kind]) + text.encode())


for file in sorted(recorded.glob("histories/*/*.json")):
    case = json.loads(file.read_text())
    events = case["history"]["events"]
    write("history_reader", f"{file.stem}-0", 0, json.dumps(events))
    if case["definition"] is not None:
        lines = [json.dumps(case["definition"]), *map(json.dumps, events)]
        write("history_reader", f"{file.stem}-1", 1, "\n".join(lines))
for file in sorted(recorded.glob("events/sfn/*.json")):
    write("status_event", file.stem, 0, file.read_text())
print(f"{sum(1 for seed in seeds.glob('*/*'))} seeds in {seeds}")
