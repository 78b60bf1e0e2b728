/** The graft command: one class a subcommand, each flat from its flags to its result. */
@NullMarked
package dev.graft.cli;

import org.jspecify.annotations.NullMarked;
