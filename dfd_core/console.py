"""Rich for text that is not ours: no name of a file or a stream is taken for markup."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text

from dfd_core.names import one_line

_WIDE = 10_000  # columns: no path is longer


class PlainConsole(Console):
    """A console for which text is text: no markup, no emoji codes, no highlighting; a `Text` may carry a style.

    Where it writes to a file or a pipe, no name is folded to the width of a terminal.
    """

    def __init__(self, **values: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **values)
        if not self.is_terminal and "width" not in values and "COLUMNS" not in os.environ:
            self.width = _WIDE

    def on_broken_pipe(self) -> NoReturn:
        """Raise it on: `dfd_core.cli` ends a command whose reader has gone."""
        raise BrokenPipeError


def shown(text: str, style: str = "") -> Text:
    """`text` on one line, in `style`."""
    return Text(one_line(text), style)
