/** A fixed pool of threads that share one loop at a time; knows nothing of matrices. */
@NullMarked
package dev.graft.cpu.parallel;

import org.jspecify.annotations.NullMarked;
