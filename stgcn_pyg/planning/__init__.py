"""What a training step needs of a GPU, worked out on a machine without one."""
