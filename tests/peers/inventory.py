"""The processor time of `zoo inspect --quick` over 100,000 small pictures in 100 class folders.

    python tests/peers/inventory.py [ZOO]

Prints the processor and wall time of three runs, with the files in the system's cache. Needs NumPy and Pillow.
"""

import io
import os
import resource
import subprocess
import sys
import tempfile
import time

import numpy
from PIL import Image

CLASSES, EACH, DISTINCT = 100, 1000, 500


def pictures():
    """PNG files of 32x32 noise, about 3 kB each."""
    random = numpy.random.default_rng(0)
    for _ in range(DISTINCT):
        pixels = random.integers(0, 256, (32, 32, 3), dtype=numpy.uint8)
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "PNG")
        yield encoded.getvalue()


def main():
    zoo = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/release/zoo")
    encoded = list(pictures())
    with tempfile.TemporaryDirectory() as root:
        for number in range(CLASSES):
            folder = os.path.join(root, f"class{number:03}")
            os.mkdir(folder)
            for i in range(EACH):
                with open(os.path.join(folder, f"{i:04}.png"), "wb") as file:
                    file.write(encoded[(number * 7 + i) % DISTINCT])
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            started = time.monotonic()
            found = subprocess.run(
                [zoo, "inspect", root, "--quick"], check=True, capture_output=True, text=True
            )
            wall = time.monotonic() - started
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            assert f"{CLASSES * EACH} training" in found.stdout, found.stdout
            user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
            print(f"processor {user + system:.2f} s (user {user:.2f}), wall {wall:.2f} s")


main()
