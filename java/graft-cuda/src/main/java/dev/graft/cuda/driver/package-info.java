/**
 * The GPU as the engine sees it: context, stream, memory, transfers, matrix products. {@link dev.graft.cuda.driver.Jcuda} is the
 * one class that knows JCuda.
 */
@NullMarked
package dev.graft.cuda.driver;

import org.jspecify.annotations.NullMarked;
