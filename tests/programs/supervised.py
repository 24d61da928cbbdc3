"""`dfd work` with a scorer of the tests: URL SCORER"""

import sys

from dfd_core.settings import Settings
from workers.fleet.supervisor import Supervisor

if __name__ == "__main__":
    url, scorer = sys.argv[1:]
    values = {"redis.url": url, "metrics.worker_port": -1, "worker.bulk_processes": 0, "worker.batch_windows": 2}
    sys.exit(Supervisor(Settings().with_values(values), f"tests.standins.{scorer}").run())
