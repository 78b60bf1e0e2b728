/** What stands between the flags and the library: opening models, planning memory, output folders, interruption. */
@NullMarked
package dev.graft.cli.run;

import org.jspecify.annotations.NullMarked;
