/** What every engine asks of its operands before it computes, so that all refuse the same mistakes in the same words. */
@NullMarked
package dev.graft.engine.check;

import org.jspecify.annotations.NullMarked;
