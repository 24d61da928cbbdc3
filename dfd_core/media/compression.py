"""What the decoder tells of a picture's compression, without computing anything: the quantisers of its blocks."""

from __future__ import annotations

import numpy as np
from av.sidedata.encparams import VideoEncParamsType
from av.video.frame import VideoFrame

from dfd_core.media.side_data import side_data_of
from dfd_core.types import Float32Array

_KEY = "VIDEO_ENC_PARAMS"  # FFmpeg's, once the decoder was opened with export_side_data=venc_params

_BLOCK = 16  # px
_X, _Y, _DELTA = 0, 1, 4  # fields of FFmpeg's AVVideoBlockParams


def quantisers_of(picture: VideoFrame) -> Float32Array | None:
    """What the encoder rounded by, on H.264's scale, float32 (h, w) of macroblocks as stored; None for other codecs."""
    told = side_data_of(picture, _KEY)
    if told is None or not told.nb_blocks:
        return None
    if told.codec_type not in (VideoEncParamsType.H264, VideoEncParamsType.MPEG2):
        return None
    height, width = (picture.height + _BLOCK - 1) // _BLOCK, (picture.width + _BLOCK - 1) // _BLOCK
    if told.nb_blocks != height * width:  # interlaced
        return None
    count = told.nb_blocks * told.block_size // 4
    blocks = np.frombuffer(told, np.int32, count, told.blocks_offset).reshape(told.nb_blocks, -1)
    quantisers = np.empty((height, width), np.int32)  # PyAV's qp_map is the same, at ten times the cost
    quantisers[blocks[:, _Y] // _BLOCK, blocks[:, _X] // _BLOCK] = told.qp + blocks[:, _DELTA]
    if told.codec_type == VideoEncParamsType.MPEG2:  # steps of grey levels; H.264 counts sixths of their octaves
        quantisers = 4 + 6 * np.log2(np.maximum(quantisers, 1))
    return np.asarray(quantisers, np.float32)
