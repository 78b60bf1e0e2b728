/** Matrix products on the CPU: one contract, one implementation on oneDNN and one in plain Java. */
@NullMarked
package dev.graft.cpu.matmul;

import org.jspecify.annotations.NullMarked;
