/** Matrices over engine memory, and their element types. Depends on nothing. */
@NullMarked
package dev.graft.tensor;

import org.jspecify.annotations.NullMarked;
