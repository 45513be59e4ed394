"""What the processes of jobs are forked from: all is imported, and nothing done yet."""

import warnings

with warnings.catch_warnings():
    # Said by PyTorch Geometric's own import, to nobody who could change it.
    warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated")
    import experiments.running.job_process  # noqa: F401
