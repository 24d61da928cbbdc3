"""Writes to the end of a file of so many bytes, under a limit, and says what came of it: FILE BYTES LIMIT"""

import errno
import sys

from dfd_core.process.bounds import limit_writing

path, size, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
limit_writing(most)
try:
    with open(path, "wb", buffering=0) as file:
        file.seek(size - 1)
        file.write(b"x")
    print("written")
except OSError as error:
    print(errno.errorcode[error.errno or 0])
