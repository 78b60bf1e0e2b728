/** Building blocks of a model: trainable flat buffers, weights, linear layers, rotary positions. */
@NullMarked
package dev.graft.nn;

import org.jspecify.annotations.NullMarked;
