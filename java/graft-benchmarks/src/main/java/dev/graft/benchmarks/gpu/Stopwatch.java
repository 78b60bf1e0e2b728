package dev.graft.benchmarks.gpu;

import dev.graft.engine.Engine;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Workspace;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import java.util.Arrays;
import java.util.function.IntConsumer;

/**
 * Times an engine that returns before the work is done: many calls are enqueued, then waited for once by downloading one number.
 *
 * @param leastMillis that a repetition should last, so that the wait does not count
 */
record Stopwatch(int repetitions, double leastMillis) {
    /** For numbers to be shown. */
    static final Stopwatch STEADY = new Stopwatch(5, 50);

    /** For the emulator, whose times mean nothing. */
    static final Stopwatch ONCE = new Stopwatch(1, 0);

    private static final int MOST_CALLS = 100_000;

    /** @param call is given 0, 1, 2 …, so that it can take turns between buffers */
    Timing time(Engine engine, IntConsumer call) {
        try (Workspace workspace = new Workspace(engine)) {
            Tensor probe = workspace.tensor(MemoryKind.WORKSPACE, "probe", DType.F32, 1, 1);
            int calls = 1;
            // also the warm-up
            double once = millis(engine, probe, call, calls);
            while (once < leastMillis && calls < MOST_CALLS) {
                double factor = Math.clamp(1.2 * leastMillis / once, 1.2, 100);
                calls = (int) Math.min(MOST_CALLS, Math.ceil(calls * factor));
                once = millis(engine, probe, call, calls);
            }
            double[] times = new double[repetitions];
            for (int i = 0; i < repetitions; i++) {
                times[i] = millis(engine, probe, call, calls) / calls;
            }
            Arrays.sort(times);
            return new Timing(times[repetitions / 2], times[0], times[repetitions - 1], calls);
        }
    }

    private static double millis(Engine engine, Tensor probe, IntConsumer call, int calls) {
        engine.download(probe);
        long start = System.nanoTime();
        for (int i = 0; i < calls; i++) {
            call.accept(i);
        }
        engine.download(probe);
        return (System.nanoTime() - start) / 1e6;
    }
}
