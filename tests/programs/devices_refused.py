"""Devices that cannot share a run are refused with a sentence."""

from dfd_core.errors import DataError
from trainer.training.devices import use_devices

use_devices(1, 7)
for count, why in ((0, "must be at least 1"), (2, "pip install jax, and run with KERAS_BACKEND=jax")):
    try:
        use_devices(count, 8)
        raise SystemExit(f"{count} went by")
    except DataError as error:
        assert why in str(error), error
