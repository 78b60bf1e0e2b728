/** Where a run spends its time, operation by operation. */
@NullMarked
package dev.graft.engine.profile;

import org.jspecify.annotations.NullMarked;
