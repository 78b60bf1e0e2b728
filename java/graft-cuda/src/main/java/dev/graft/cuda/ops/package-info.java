/** The operations that take more than one kernel: linear layers with adapters, attention, loading of frozen weights. */
@NullMarked
package dev.graft.cuda.ops;

import org.jspecify.annotations.NullMarked;
