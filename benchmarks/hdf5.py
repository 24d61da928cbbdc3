"""Size and read speed of a data set's crops under each compression, side by side in one run.

    python benchmarks/hdf5.py [--windows 24] [--rounds 3]

The windows are cut from a rendered scene, as `dfd data build` cuts them, and read back one by one in random order, from
the page cache: what is compared is the cost of decompression.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from dfd_core.errors import DataError
from dfd_core.settings import Settings
from ingest.sources.synthetic import Scene, render_synthetic
from trainer.data.dataset import Dataset, DatasetWriter, FileRow, Header
from trainer.data.extract import Extraction, Extractor
from trainer.data.layouts import LabelledFile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    settings = Settings()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = folder / "clip.mp4"
        render_synthetic(clip, Scene(duration=18.0, fake_from=18.0, size=(960, 540), fps=8))
        windows = Extractor(settings, Extraction(frames=16, windows=args.windows)).windows_of(
            LabelledFile(clip, False, ())
        )
        header = Header(settings.faces.crop_cap_px, 16, settings.video.sample_fps, "folders", "group")
        raw = sum(window.crops.nbytes for window in windows) / len(windows)
        sizes: dict[str, float] = {}
        best: dict[str, float] = {}
        for compression in ("none", "lzf", "gzip", "blosc2"):
            try:
                with DatasetWriter(folder / f"{compression}.h5", header, compression) as writer:
                    file = writer.add_file(FileRow("clip.mp4", ("a",)))
                    for n in range(args.windows):
                        writer.add(windows[n % len(windows)], file, n % 2 == 1, "train")
                    writer.close()
            except DataError as error:
                print(f"{compression}: {error}")
                continue
            sizes[compression] = Dataset(folder / f"{compression}.h5").bytes_stored / args.windows
        for _ in range(args.rounds):
            for compression in sizes:
                data = Dataset(folder / f"{compression}.h5")
                started = time.perf_counter()
                for row in np.random.default_rng(1).permutation(len(data)):
                    data.crops(int(row))
                best[compression] = min(best.get(compression, np.inf), (time.perf_counter() - started) / len(data))
    print(f"{args.windows} windows of 16 crops, {raw / 1e6:.2f} MB of pixels each; best of {args.rounds} rounds")
    for compression, size in sizes.items():
        rate = 1 / best[compression]
        print(f"{compression:7} {size / raw:5.2f} of the pixels' bytes  {rate:8.1f} windows/s  "
              f"{best['none'] / best[compression]:5.2f} of uncompressed")  # fmt: skip


if __name__ == "__main__":
    main()
