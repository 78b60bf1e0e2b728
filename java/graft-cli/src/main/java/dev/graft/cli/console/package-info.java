/** What the user sees: results, progress, log lines, tables and units. */
@NullMarked
package dev.graft.cli.console;

import org.jspecify.annotations.NullMarked;
