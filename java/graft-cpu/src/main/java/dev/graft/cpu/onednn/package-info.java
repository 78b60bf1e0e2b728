/** oneDNN's C interface: loading the library, and matrix products through it. The only package of the module that calls native code. */
@NullMarked
package dev.graft.cpu.onednn;

import org.jspecify.annotations.NullMarked;
