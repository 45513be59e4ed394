"""The commands of `stgcn`, a file each; every one has `main(arguments) -> exit status`."""
