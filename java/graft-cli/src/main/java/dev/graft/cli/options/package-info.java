/** Flags that several commands share. */
@NullMarked
package dev.graft.cli.options;

import org.jspecify.annotations.NullMarked;
