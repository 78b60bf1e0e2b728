/** What every package may use: errors of the user's input. */
@NullMarked
package dev.graft.common;

import org.jspecify.annotations.NullMarked;
