/** The native libraries: where they come from, which of them this process uses, and the functions of the kernel library. */
@NullMarked
package dev.graft.cuda.natives;

import org.jspecify.annotations.NullMarked;
