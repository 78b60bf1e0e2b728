/**
 * The CUDA engine: frozen weights times activations by cuBLAS, everything else by kernels of our own. Source of the kernels:
 * {@code native/}.
 */
@NullMarked
package dev.graft.cuda;

import org.jspecify.annotations.NullMarked;
