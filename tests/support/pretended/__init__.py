"""A GPU that is not there: device cuda on a build of PyTorch for the processor, with real numbers.

`device.cpp` gives the device its memory and its kernels, which are the processor's; `gpu` the parts of `torch.cuda`
that the suite asks for, CUDA graphs included, and `Watch`, which counts kernels and sees what would wait. It needs a
process of its own, in which the library comes before PyTorch: `library.run` starts one.
"""
