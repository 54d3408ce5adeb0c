"""The simulated MPS device: what the real backend has, its tensors, dispatch and errors, the self-test."""
