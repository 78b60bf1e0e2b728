/**
 * {@link dev.graft.benchmarks.gpu.GpuVerify}: whether the CUDA engine computes right on the GPU at hand, and how fast, as one JSON
 * file. Run by {@code scripts/gpu-verify}.
 */
@NullMarked
package dev.graft.benchmarks.gpu;

import org.jspecify.annotations.NullMarked;
