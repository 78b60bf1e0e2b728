/** Decoder models: configuration, weights, forward and backward, generation. */
@NullMarked
package dev.graft.model;

import org.jspecify.annotations.NullMarked;
