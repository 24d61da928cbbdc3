"""Starts an embedded Valkey server as `dfd watch` does, prints its URL, and rests: FOLDER"""

import os
import sys
import time

from dfd_core.process.commands import Commands
from workers.watch.child import SERVER

if __name__ == "__main__":
    commands = Commands("workers.watch.child", dict(os.environ))
    commands.start("server", SERVER, sys.argv[1])
    print(commands.lines.get().text, flush=True)
    time.sleep(600)
