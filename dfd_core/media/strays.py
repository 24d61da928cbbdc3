"""Pictures of files whose stamps are far from those of their neighbours: recorders that slip, not pauses of a film."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise

from av.video.frame import VideoFrame

from dfd_core.errors import VideoError

_FAR_S = 1.0  # from the picture before: so far it may be astray, or the film pauses or begins anew
_MOST = 8  # pictures in a row that can be astray
_LAST_S = 1800.0  # from the rest: so far ahead the last picture is astray
_Stamped = tuple[VideoFrame, float | None]


def without_strays(pictures: Iterable[VideoFrame], step_s: float) -> Iterator[_Stamped]:
    """Each picture with its stamp, seconds; those far off are put evenly between their neighbours.

    A stamp is astray if those that follow, at most `_MOST` further on, go on from where stamps were before. Where they
    do not, it is a pause, or a film that begins anew. `step_s` is usual between two pictures.
    """
    look = _Ahead(pictures)
    last_s: float | None = None
    while look.fill(1):
        pts_s = look.stamps[0]
        if pts_s is not None and (last_s is None or abs(pts_s - last_s) > _FAR_S):
            look.fill(_MOST + 1)
            look.mend(last_s, step_s)
        picture, pts_s = look.take()
        yield picture, pts_s
        last_s = pts_s if pts_s is not None or last_s is None else last_s + step_s
    if look.trouble is not None:
        raise look.trouble


class _Ahead:
    """The next pictures and their stamps, as far as they were asked for."""

    def __init__(self, pictures: Iterable[VideoFrame]) -> None:
        self._source = iter(pictures)
        self._pictures, self.stamps = deque[VideoFrame](), deque[float | None]()
        self._ended = False
        self.trouble: VideoError | None = None  # which ended them

    def fill(self, count: int) -> bool:
        """Fetch up to `count`; False where there is none left."""
        while len(self._pictures) < count and not self._ended:
            try:
                picture = next(self._source, None)
            except VideoError as error:
                picture, self.trouble = None, error
            if picture is None:
                self._ended = True
            else:
                self._pictures.append(picture)
                self.stamps.append(picture.time)
        return bool(self._pictures)

    def take(self) -> _Stamped:
        """The next one."""
        return self._pictures.popleft(), self.stamps.popleft()

    def mend(self, last_s: float | None, step_s: float) -> None:
        """Put the first ones between the one before, at `last_s`, and the first that goes on from there."""
        first_s = self.stamps[0] or 0.0
        if last_s is None:
            following = [pts for pts in self.stamps if pts is not None][1:]
            if following and first_s > following[0] + _FAR_S and _even(following):
                self.stamps[0] = following[0] - step_s
            return
        home = next((n for n, pts in enumerate(self.stamps) if n and _goes_on(pts, last_s, n, step_s)), None)
        if home is not None:
            gap_s = (self.stamps[home] or 0.0) - last_s
            for n in range(home):
                self.stamps[n] = last_s + gap_s * (n + 1) / (home + 1)
        elif len(self.stamps) == 1 and first_s - last_s > _LAST_S:
            self.stamps[0] = last_s + step_s


def _goes_on(pts_s: float | None, last_s: float, n: int, step_s: float) -> bool:
    return pts_s is not None and 0 < pts_s - last_s <= _FAR_S + (n + 1) * step_s


def _even(stamps: list[float]) -> bool:
    return all(abs(after - before) <= _FAR_S for before, after in pairwise(stamps))
