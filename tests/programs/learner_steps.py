"""Steps of training do what the recipe says: FOLDER BACKBONE..."""

import pathlib
import sys

import keras
import numpy as np

from dfd_core.errors import DataError
from trainer.networks.backbones import build_detector, freeze, stages_of
from trainer.training.recipes import recipe_named
from trainer.training.sharpness import Ascent
from trainer.training.step import Learner

folder = pathlib.Path(sys.argv[1])
rng = np.random.default_rng(1)
images = rng.integers(0, 255, (4, 64, 64, 3)).astype(np.uint8)
labels = np.array([[0], [1], [0], [1]], np.float32)
smoke = recipe_named("smoke")


def arrays(variables):
    return [keras.ops.convert_to_numpy(v) + 0 for v in variables]


def moved(one, other):
    return [bool(np.abs(a - b).max() > 0) for a, b in zip(one, other, strict=True)]


# from a given network, whose channels a recipe may add to; from another one not
learner = Learner.begin(smoke, folder, 1)
learner.learn(images, labels)
learner.model.save(folder / "given.keras")
fresh, wider = Learner.begin(smoke, folder, 2), Learner.begin(smoke.but(modalities=3), folder, 2)
for other in (fresh, wider):
    other.take_weights(folder / "given.keras")
    ours, theirs = (
        keras.ops.convert_to_numpy(of.model(images.astype(np.float32), training=False)) for of in (other, learner)
    )
    assert np.abs(ours - theirs).max() < 1e-4
    kept = other.averaged().get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(kept, other.model.get_weights(), strict=True))
stuck = smoke.but(modalities=3, frozen=((0, 2),))
for recipe, why in ((smoke.but(backbone="mobilenet-v2"), "is not that of the recipe"), (stuck, "begin at zero")):
    try:
        Learner.begin(recipe, folder, 1).take_weights(folder / "given.keras")
        raise SystemExit(f"begun where it {why}")
    except DataError as error:
        assert why in str(error)

# the head first, then all
learner = Learner.begin(smoke.but(frozen=((0, 1000), (1, 0))), folder, 1)
model = learner.model
assert len(stages_of(model)) == 5 and len(model.trainable_variables) == 2
before = arrays(model.weights)
learner.learn(images, labels)
assert moved(before, arrays(model.weights)) == [False] * 10 + [True] * 2
kept = learner.averaged().get_weights()
learner.thaw(1)
assert len(model.trainable_variables) == 12 and learner.steps == 1
assert all(np.array_equal(a, b) for a, b in zip(kept, learner.averaged().get_weights(), strict=True))
before = arrays(model.weights)
learner.learn(images, labels)
assert all(moved(before, arrays(model.weights)))
learner.thaw(2)
assert learner.steps == 2

# sharpness-aware: the step is taken with the gradient of a place nearby, and from where the weights were
plain, sharp = smoke.but(ema=0.5), smoke.but(ema=0.5, sharpness=0.5)
results = []
for recipe in (plain, sharp, sharp.but(rate=0.0, one_cycle=False, weight_decay=0.0)):
    learner = Learner.begin(recipe, folder, 1)
    first = arrays(learner.model.trainable_variables)
    for _ in range(2):
        learner.learn(images, labels)
    results.append((arrays(learner.model.trainable_variables), learner.averaged().get_weights()))
assert any(moved(results[0][0], results[1][0]))
for stayed in results[2]:  # a rate of 0 comes back to its place, and so does the average
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(stayed, first, strict=True))

# that place is as far as the radius says, in sizes of the weights, and the loss is higher there
model, given = Learner.begin(smoke.but(dropout=0.0), folder, 1).model, images.astype(np.float32)
climbing = keras.Model(model.input, model.output)
climbing.compile(Ascent(0.1), model.loss, run_eagerly=True)
before = arrays(model.trainable_variables)
low = float(climbing.train_on_batch(given, labels))
after = arrays(model.trainable_variables)
assert low < float(climbing.train_on_batch(given, labels))
relative = [(there - here) / (np.abs(here) + 0.01) for here, there in zip(before, after, strict=True)]
assert abs(np.sqrt(sum(float(np.square(r).sum()) for r in relative)) - 0.1) < 1e-4


# a teacher: by its share, what it says takes the place of the labels; it looks at pictures of the same size
def taught(share, wanted):
    learner = Learner.begin(smoke.but(teacher_share=share), folder, 1)
    learner.take_teacher(folder / "given.keras")
    return learner.learn(images, wanted), arrays(learner.model.trainable_variables)


turned = 1 - labels
alone = Learner.begin(smoke, folder, 1)
assert abs(alone.learn(images, labels) - taught(0.0, labels)[0]) < 1e-6
losses, weights = zip(taught(1.0, labels), taught(1.0, turned), strict=True)
assert abs(losses[0] - losses[1]) < 1e-6 and not any(moved(*weights))
assert abs(taught(0.5, labels)[0] - taught(0.5, turned)[0]) > 1e-4
try:
    Learner.begin(smoke.but(size=96), folder, 1).take_teacher(folder / "given.keras")
except DataError as error:
    assert "looks at 64 px, the recipe at 96" in str(error)
else:
    raise AssertionError("a teacher of another size went by")

try:
    Learner.begin(smoke, folder, 1).learn(images, np.full_like(labels, np.nan))
except DataError as error:
    assert "not finite at step" in str(error)
else:
    raise AssertionError("a loss of NaN went by")
(folder / "checkpoint.keras").write_bytes(b"text")
try:
    Learner.begin(smoke, folder, 1)
except DataError as error:
    assert "checkpoint.keras cannot be read" in str(error)
else:
    raise AssertionError("a damaged checkpoint went by")

# every backbone takes derived channels without losing its pretrained response to colour
for name in sys.argv[2:]:
    rgb = build_detector(size=64, backbone=name, num_modalities=1)
    more = build_detector(size=64, backbone=name, num_modalities=3)
    for model in (rgb, more):
        model.get_layer("logit").set_weights([np.ones(model.get_layer("logit").kernel.shape), np.zeros(1)])
    one, other = (keras.ops.convert_to_numpy(m(images.astype(np.float32), training=False)) for m in (rgb, more))
    assert np.abs(one).max() > 0 and np.allclose(one, other, rtol=1e-3), name
    stages = len(stages_of(rgb))
    freeze(rgb, stages - 1)
    assert len(rgb.trainable_variables) == 4  # the last convolution and the head
    print(name, rgb.count_params(), stages)
for name, millions in (("efficientnet-lite0", 3.4), ("efficientnet-lite1", 4.1), ("efficientnet-lite2", 4.8)):
    assert round(build_detector(size=64, backbone=name, pretrained=False).count_params() / 1e6, 1) == millions, name
try:
    build_detector(backbone="efficientnet-lite9")
except DataError as error:
    assert "known are efficientnet-lite0" in str(error)
else:
    raise AssertionError("an unknown backbone went by")
application = build_detector(size=64, backbone="MobileNet", pretrained=False, num_modalities=2)
assert application.output_shape == (None, 1)
