package dev.graft.benchmarks;

import dev.graft.engine.Engine;
import dev.graft.tensor.TensorView;
import java.util.function.Consumer;

/**
 * What a benchmark measures: calls of an engine, and the wait for their end.
 *
 * @param probe downloaded after the calls, which waits for an engine that computes ahead
 * @param flops of the calls' matrix products
 * @param bytes of their operands
 */
record Operation(Engine engine, Consumer<Engine> calls, TensorView probe, double flops, double bytes) {
    void run(Work work) {
        calls.accept(engine);
        engine.download(probe);
        work.flops = flops;
        work.bytes = bytes;
    }
}
