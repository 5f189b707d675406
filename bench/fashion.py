"""The images of fashion-mnist as rows."""

import numpy as np

import measure

SET = "fashion-mnist-784-euclidean"
TRAIN, TEST = "train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"
SIDE = 28
DIM = SIDE * SIDE
IDX_HEADER_BYTES = 16


def path(name):
    return measure.data_folder() / SET / name


def images(name):
    """Rows of one file as float32."""
    raw = np.frombuffer(measure.datasets.unpacked(path(name)), np.uint8)[IDX_HEADER_BYTES:]
    return raw.reshape(-1, DIM).astype("<f4")
