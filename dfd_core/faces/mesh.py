"""468 landmarks of a face: MediaPipe's face mesh (Kartynnik et al., 2019, arXiv:1907.06724), run by LiteRT."""

from __future__ import annotations

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from dfd_core.faces.blazeface import Face, face_model
from dfd_core.types import Float32Array, UInt8Array

SCALE = 1.5  # side of the square that the mesh looks at over the longer side of the face box
_MIN_PRESENCE = 0.5


class FaceMesh:
    """The mesh network; not thread-safe, cheap to make, 0.7 ms a face on one core."""

    def __init__(self, threads: int = 1) -> None:
        self._net = Interpreter(model_path=str(face_model("face_landmark.tflite")), num_threads=threads)
        self._net.allocate_tensors()
        (given,) = self._net.get_input_details()
        mesh, presence = sorted(self._net.get_output_details(), key=lambda d: -int(d["shape"][-1]))
        self._input, self._mesh, self._presence = given["index"], mesh["index"], presence["index"]
        self._size = int(given["shape"][1])

    def landmarks(self, image: UInt8Array, face: Face) -> Float32Array | None:
        """Float32 (468, 2) px of `image` uint8 (H, W, 3) RGB, or None where the mesh sees no face in the box."""
        right_eye, left_eye = face.landmarks[:2]
        angle = float(np.arctan2(left_eye[1] - right_eye[1], left_eye[0] - right_eye[0]))
        side = float(max(face.box[2:] - face.box[:2])) * SCALE
        centre = (face.box[:2] + face.box[2:]) / 2
        scale = self._size / side
        cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
        turn = np.array([[cos, sin], [-sin, cos]])
        to_crop = np.concatenate([turn, (self._size / 2 - turn @ centre)[:, None]], axis=1)
        flat = cv2.warpAffine(
            image, to_crop, (self._size, self._size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        presence = self._run(np.asarray(flat, np.uint8))
        if 1 / (1 + np.exp(-np.clip(presence, -80, 80))) < _MIN_PRESENCE:
            return None
        points = self._net.get_tensor(self._mesh).reshape(468, 3)[:, :2]
        back = (points - to_crop[:, 2]) @ np.linalg.inv(turn).T
        return np.asarray(back, np.float32)

    def presence(self, square: UInt8Array) -> float:
        """Logit of an upright face being in `square` uint8 (S, S, 3) RGB, which is `SCALE` times the face box.

        Of 1,600 faces of portraits and videos 99 % of the upright ones reach 10 and half of them 48, also in profile
        and at 40 px; of those that were turned by a quarter or by half, 99 % stay below 13.
        """
        how = cv2.INTER_AREA if square.shape[0] > self._size else cv2.INTER_LINEAR
        return self._run(np.asarray(cv2.resize(square, (self._size, self._size), interpolation=how), np.uint8))

    def _run(self, square: UInt8Array) -> float:
        """Feed one picture of the network's own size; the logit of presence."""
        self._net.set_tensor(self._input, square[None].astype(np.float32) / 255)
        self._net.invoke()
        return float(self._net.get_tensor(self._presence).reshape(()))
