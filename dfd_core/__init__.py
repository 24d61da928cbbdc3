"""What every part of dfd shares: records, settings, video, faces, windows, models, checks and verdicts."""

import os

__version__ = "0.1.0"

# OpenCV's threads cost more than they give on pictures as small as faces (a 64 px optical flow: 6.3 ms of CPU with two
# threads, 0.4 ms with one), and processes share the cores already. Read when cv2 is imported, which is after this.
os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")
