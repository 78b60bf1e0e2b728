package dev.graft.cuda.natives;

/** Which CUDA a process uses. JCuda binds to one {@code libcuda.so.1}, so that a process can use one of them only. */
public enum CudaPlatform {
    /** The NVIDIA driver and cuBLAS of this machine. */
    GPU,
    /** Their emulation on the CPU, for tests: right, and slow. */
    EMULATED
}
