/** Fetches NVIDIA's cuBLAS for machines that have a driver and no CUDA toolkit. */
@NullMarked
package dev.graft.cli.download;

import org.jspecify.annotations.NullMarked;
