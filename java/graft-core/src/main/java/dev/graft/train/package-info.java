/** Training: batches, optimizer, schedules, evaluation, checkpoints. */
@NullMarked
package dev.graft.train;

import org.jspecify.annotations.NullMarked;
