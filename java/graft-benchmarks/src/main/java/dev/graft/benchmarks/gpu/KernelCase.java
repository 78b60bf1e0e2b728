package dev.graft.benchmarks.gpu;

import java.util.function.IntConsumer;

/**
 * An operation at one size.
 *
 * @param shape for the reader
 * @param bytes that it must move, each input read once and each output written once; 0 where operations decide
 * @param flops that it must do; 0 where bytes decide
 * @param call enqueues it; takes turns between buffers by its argument where one set would fit the GPU's cache
 */
record KernelCase(String op, String shape, double bytes, double flops, IntConsumer call) {
    static KernelCase ofBytes(String op, String shape, double bytes, IntConsumer call) {
        return new KernelCase(op, shape, bytes, 0, call);
    }

    static KernelCase ofFlops(String op, String shape, double flops, IntConsumer call) {
        return new KernelCase(op, shape, 0, flops, call);
    }
}
