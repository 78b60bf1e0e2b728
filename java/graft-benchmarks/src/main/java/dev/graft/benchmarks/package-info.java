/** JMH benchmarks; {@code scripts/bench-kernels} runs them. */
@NullMarked
package dev.graft.benchmarks;

import org.jspecify.annotations.NullMarked;
