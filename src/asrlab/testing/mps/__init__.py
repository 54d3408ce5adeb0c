"""The simulated MPS device: tensors, dispatch, errors, table of kernels, self-test."""
