/** {@code graft compare}: LoRA beside its alternatives on one task, every figure measured in the run. */
@NullMarked
package dev.graft.cli.compare;

import org.jspecify.annotations.NullMarked;
