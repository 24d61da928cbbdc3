"""What the decoder tells of a picture's compression, without computing anything: the quantisers of its blocks."""

from __future__ import annotations

import numpy as np
from av.sidedata.encparams import VideoEncParamsType
from av.video.frame import VideoFrame

from dfd_core.media.side_data import side_data_of
from dfd_core.types import Float32Array

_KEY = "VIDEO_ENC_PARAMS"  # FFmpeg's, once the decoder was opened with export_side_data=venc_params


def quantisers_of(picture: VideoFrame) -> Float32Array | None:
    """What the encoder rounded by, on H.264's scale, float32 (h, w) of macroblocks as stored; None for other codecs."""
    told = side_data_of(picture, _KEY)
    if told is None or not told.nb_blocks:
        return None
    if told.codec_type not in (VideoEncParamsType.H264, VideoEncParamsType.MPEG2):
        return None
    try:
        quantisers = told.qp_map()
    except RuntimeError:  # interlaced: PyAV counts other blocks than FFmpeg does
        return None
    if told.codec_type == VideoEncParamsType.MPEG2:  # steps of grey levels; H.264 counts sixths of their octaves
        quantisers = 4 + 6 * np.log2(np.maximum(quantisers, 1))
    return np.asarray(quantisers, np.float32)
