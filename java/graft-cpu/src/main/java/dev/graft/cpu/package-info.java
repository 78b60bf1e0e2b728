/** The CPU engine: what every machine has. Matrix products by {@code matmul}, everything else by {@code kernels}. */
@NullMarked
package dev.graft.cpu;

import org.jspecify.annotations.NullMarked;
