"""A Caffe network that gives the gradient of its input: definition, weights, layers, tiles, memory, device."""
