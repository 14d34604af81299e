"""Fuzzes one reader for a while: ``python -m tests.fuzz model --seconds 600``.

Needs atheris (``make fuzz`` puts it into build/fuzz). What is found is written to
build/fuzz/found; a finding becomes a small test in tests/fuzz/test_fuzz.py.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "fuzz"
MOST_SECONDS, MOST_MEGABYTES = 2.0, 300
_LONGEST = 4096  # bytes of an input that atheris makes; seeds are smaller


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=("model", "caffe", "card"))
    parser.add_argument("--seconds", type=int, default=120)
    arguments = parser.parse_args()
    sys.path.insert(0, str(FOLDER / "packages"))
    import atheris

    with atheris.instrument_imports(include=["scasnet_qgis"]):
        from scasnet_qgis.models import arena
        from tests.fuzz.seeds import seeds
        from tests.fuzz.targets import TARGETS
        from tests.fuzz.wire_mutation import mutated

        # What models compute in is bounded by the computer's memory; here by what is allowed below.
        arena._most_bytes = lambda: MOST_MEGABYTES << 20
        target = TARGETS[arguments.target]
        start = seeds(arguments.target)
        for seed in start:  # loads what is imported inside functions
            target(seed)

    def once(data: bytes) -> None:
        before, began = _megabytes(), time.process_time()
        target(data)
        seconds, grown = time.process_time() - began, _megabytes() - before
        if seconds > MOST_SECONDS or grown > MOST_MEGABYTES:
            raise RuntimeError(f"{seconds:.1f} s and {grown} MB")

    corpus, found = FOLDER / "corpus" / arguments.target, FOLDER / "found"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(start):
        (corpus / f"seed{index}").write_bytes(seed)
    options = [
        f"-max_total_time={arguments.seconds}",
        f"-max_len={max(_LONGEST, *map(len, start))}",
        "-timeout=60",
        f"-rss_limit_mb={_megabytes() + 3 * MOST_MEGABYTES}",
        f"-artifact_prefix={found}/{arguments.target}-",
        "-print_final_stats=1",
    ]
    mutator = None if arguments.target == "card" else _mutator(mutated)
    atheris.Setup([sys.argv[0], *options, str(corpus)], once, custom_mutator=mutator)
    atheris.Fuzz()


def _mutator(mutated):
    """Fields are changed mostly, bytes sometimes."""
    import atheris

    def change(data: bytes, most: int, seed: int) -> bytes:
        return atheris.Mutate(data, most) if seed % 8 == 0 else mutated(data, seed, most)

    return change


def _megabytes() -> int:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
