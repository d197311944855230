"""The networks have the shapes and layers that their descriptions name."""

from lib import backbones

import keras
import numpy as np
import pytest

BUILDERS = (
    backbones.build_backbone,
    backbones.build_demo_2d_backbone,
    backbones.build_demo_20d_backbone,
)


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("dim", [1, 2, 64])
def test_embeddings_have_the_dimension_asked_for(build, dim):
    embeddings = build(embedding_dim=dim)(np.zeros((3, 28, 28, 1), "float32"))
    assert embeddings.shape == (3, dim)


@pytest.mark.parametrize("build", BUILDERS)
def test_the_embedding_layer_is_linear(build):
    # an activation would cut off half of all directions
    layer = build(embedding_dim=2).get_layer("embedding")
    assert layer.activation is keras.activations.linear


def test_the_2d_demonstration_has_convolutions_without_activation():
    convolutions = [
        layer
        for layer in backbones.build_demo_2d_backbone().layers
        if isinstance(layer, keras.layers.Conv2D)
    ]
    assert [layer.filters for layer in convolutions] == [20, 20]
    assert all(layer.activation is keras.activations.linear for layer in convolutions)


def test_the_20d_demonstration_ends_in_dropout():
    model = backbones.build_demo_20d_backbone()
    assert model.output_shape == (None, 20)
    assert isinstance(model.layers[-1], keras.layers.Dropout)
    assert model.layers[-1].rate == 0.2
