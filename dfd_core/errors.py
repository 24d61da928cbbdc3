"""Every error that dfd raises on purpose; the CLI prints its sentence and exits with its code.

DfdError                  one clear sentence that says what to do
├── SettingsError         a wrong or unknown setting, flag or environment variable
├── VideoError            a source that cannot be opened, decoded or that has no picture
│   ├── PartialError      a file of which only a part could be read
│   ├── RefusedError      a server that wants other credentials; asking again soon may lock the account
│   └── StreamLostError   a live source that stopped giving frames; worth reconnecting
├── ModelError            a model file that is missing, foreign, or not the one its card names
├── WireError             bytes or JSON from Redis that are not ours or of another version
├── QueueError            Redis is unreachable, refuses, or a queue stays full
└── DataError             training or evaluation data that cannot be used
"""


class DfdError(Exception):
    """Base of all errors raised on purpose; `str(error)` is one sentence for the user, free of credentials."""

    exit_code = 1


class SettingsError(DfdError):
    """A wrong or unknown setting, flag or environment variable."""

    exit_code = 2


class VideoError(DfdError):
    """A source that cannot be opened, decoded, or that has no picture."""


class PartialError(VideoError):
    """A file of which less was read than it says to hold: `read_s` of `of_s` media seconds, None where unknown."""

    def __init__(self, text: str, read_s: float | None = None, of_s: float | None = None) -> None:
        super().__init__(text)
        self.read_s, self.of_s = read_s, of_s


class RefusedError(VideoError):
    """A server that let nobody in: it wants another user name or password, or forbids access."""


class StreamLostError(VideoError):
    """A live source that stopped giving frames; reconnecting may help."""


class ModelError(DfdError):
    """A model file that is missing, foreign, or not the one that its card names."""


class WireError(DfdError):
    """Bytes or JSON from Redis that are not ours, or of another version."""


class QueueError(DfdError):
    """Redis is unreachable or refuses, or a queue stays full."""


class DataError(DfdError):
    """Training or evaluation data that cannot be used."""
