/** The narrow waist: the operations that every engine offers, named by their maths. */
@NullMarked
package dev.graft.engine;

import org.jspecify.annotations.NullMarked;
