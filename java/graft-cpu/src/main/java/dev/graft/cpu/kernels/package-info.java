/**
 * The operations of the CPU engine, one a file, forward beside backward, written with the Vector API. Each is computed in float32
 * whatever the tensors' dtype is, on rows or chunks of rows, and in an order that does not depend on the number of workers.
 */
@NullMarked
package dev.graft.cpu.kernels;

import org.jspecify.annotations.NullMarked;
